// The small changes that ask for one line of text.
import { t } from '../app/i18n.svelte';
import type { Model } from '../app/model.svelte';
import { ui } from '../app/ui.svelte';

const k_name_bytes = 128;

export function edit_remark(m: Model, uin: string): void {
  ui.open({
    kind: 'edit',
    title: t('contact.remark'),
    label: t('contact.remark_hint'),
    value: m.contacts.get(uin)?.remark ?? '',
    max: k_name_bytes,
    empty: true,
    save: async (remark) => {
      const { contact } = await m.engine.call('contact/set', { uin, remark, fields: ['remark'] });
      if (contact) await m.engine.store.put_contact({ ...contact, uin });
    },
  });
}
export function rename_group(m: Model, id: string): void {
  ui.open({
    kind: 'edit',
    title: t('group.rename'),
    label: t('group.name'),
    value: m.groups.get(id)?.group.name ?? '',
    max: k_name_bytes,
    empty: false,
    save: async (name) => {
      const { group } = await m.engine.call('group/rename', { group: id, name });
      if (group)
        await m.engine.store.put_group({ ...group, id, members: group.members?.length ? group.members : undefined });
    },
  });
}
