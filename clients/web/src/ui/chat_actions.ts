// What can be done with a conversation, for the list's menu and the chat's.
import { t } from '../app/i18n.svelte';
import type { Model } from '../app/model.svelte';
import { ui } from '../app/ui.svelte';
import type { ConvRow } from '../store/rows';
import type { MenuEntry } from './parts/Menu.svelte';

const k_forever_ms = 4_102_444_800_000; // The year 2100.

export function chat_actions(m: Model, row: ConvRow): MenuEntry[] {
  const muted = row.mute_until > Date.now();
  const entries: MenuEntry[] = [];
  if (row.unread > 0)
    entries.push({
      label: t('chat.read_all'),
      icon: 'check',
      run: () => void m.engine.mark_read(row.conv, row.last_position),
    });
  entries.push(
    {
      label: row.pin > 0 ? t('chat.unpin') : t('chat.pin'),
      icon: 'pin',
      run: () =>
        void m.act(() => m.engine.set_conversation(row.conv, { pinRank: row.pin > 0 ? '0' : String(Date.now()) })),
    },
    {
      label: muted ? t('chat.unmute') : t('chat.mute'),
      icon: muted ? 'bell' : 'mute',
      run: () =>
        void m.act(() => m.engine.set_conversation(row.conv, { muteUntilMs: muted ? '0' : String(k_forever_ms) })),
    },
    {
      label: t('chat.hide'),
      icon: 'close',
      run: () =>
        void m.act(async () => {
          await m.engine.set_conversation(row.conv, { hidden: true });
          await m.engine.store.update_conversation(row.conv, (now) => {
            now.hidden = true;
          });
          if (m.route.item === row.conv) m.back();
        }),
    },
    { label: t('chat.clear'), icon: 'trash', danger: true, run: () => void clear(m, row) },
  );
  return entries;
}
async function clear(m: Model, row: ConvRow): Promise<void> {
  if (!(await ui.ask(t('chat.clear_title'), t('chat.clear_text'), t('chat.clear')))) return;
  await m.act(async () => {
    await m.engine.set_conversation(row.conv, { clearedPosition: String(row.last_position) });
    await m.engine.store.clear_messages(row.conv, row.last_position);
  });
}
