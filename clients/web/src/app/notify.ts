// Notifications of the browser for messages that come while nobody looks at the page. Asked for only when the person
// turns them on; shown by the tab that leads, so that several tabs give one.
import { settings } from './i18n.svelte';

export type Permission = 'yes' | 'no' | 'none';

export function can_notify(): boolean {
  return 'Notification' in globalThis && isSecureContext;
}
// Must run in the person's own click.
export async function ask_to_notify(): Promise<Permission> {
  if (!can_notify()) return 'none';
  return (await Notification.requestPermission()) === 'granted' ? 'yes' : 'no';
}
// One per conversation: a newer message replaces the older one's.
export function notify(conv: string, title: string, body: string, open: () => void): void {
  if (!settings.notify || !document.hidden || !can_notify() || Notification.permission !== 'granted') return;
  try {
    const shown = new Notification(title, { body, tag: conv, icon: '/icon-192.png' });
    shown.onclick = () => {
      window.focus();
      open();
      shown.close();
    };
  } catch {
    // Some phones allow them to service workers only; the title and the list still count.
  }
}
