// The words of the page. English is the list of keys; another language that misses one does not compile. Changing the
// language redraws without a reload.
import { en } from './words/en';
import { zh } from './words/zh';

export type TextKey = keyof typeof en;
export type Language = 'en' | 'zh-Hans';
export type Theme = 'auto' | 'light' | 'dark';
const words: Record<Language, Record<TextKey, string>> = { en: en, 'zh-Hans': zh };
const k_settings = 'hongyan.settings';

function saved(): { language?: Language; theme?: Theme; notify?: boolean } {
  try {
    return JSON.parse(localStorage.getItem(k_settings) ?? '{}');
  } catch {
    return {};
  }
}
function preferred(): Language {
  const wanted = typeof navigator === 'undefined' ? 'en' : (navigator.languages?.[0] ?? navigator.language ?? 'en');
  return wanted.toLowerCase().startsWith('zh') ? 'zh-Hans' : 'en';
}
class Settings {
  language = $state<Language>('en');
  theme = $state<Theme>('auto');
  notify = $state(false); // Notifications of new messages; off until the person asks for them.
  load(): void {
    const known = saved();
    this.language = known.language && words[known.language] ? known.language : preferred();
    this.theme = known.theme ?? 'auto';
    this.notify = known.notify ?? false;
    this.show();
  }
  set(change: { language?: Language; theme?: Theme; notify?: boolean }): void {
    if (change.language) this.language = change.language;
    if (change.theme) this.theme = change.theme;
    if (change.notify !== undefined) this.notify = change.notify;
    const { language, theme, notify } = this;
    localStorage.setItem(k_settings, JSON.stringify({ language, theme, notify }));
    this.show();
  }
  private show(): void {
    document.documentElement.lang = this.language;
    document.documentElement.dataset.theme = this.theme;
  }
}
export const settings = new Settings();

export function t(key: TextKey, values: Record<string, string> = {}): string {
  return words[settings.language][key].replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}
export const has_text = (key: string): boolean => key in en;
