// System lines: the template and its arguments become a sentence in the language of the page. A template or an
// argument that this client does not know gives nothing; the message's digest is shown then.
import { has_text, t, type TextKey } from './i18n.svelte';
import type { SystemLine } from './text';

export function system_text(line: SystemLine, name: (uin: string) => string): string {
  const key = `system.${line.template}`;
  if (!has_text(key)) return '';
  const values: Record<string, string> = {};
  for (const arg of line.args) {
    const value =
      arg.uin !== '0' && arg.uin !== '' ? name(arg.uin) : arg.text || (arg.number ? String(arg.number) : '');
    const place = places[arg.name] ?? arg.name;
    values[place] = values[place] ? `${values[place]}${t('list.comma')}${value}` : value;
  }
  const text = t(key as TextKey, values);
  return /\{\w+\}/.test(text) ? '' : text;
}
// Spellings of the same argument.
const places: Record<string, string> = {
  members: 'member',
  target: 'member',
  targets: 'member',
  user: 'member',
  by: 'actor',
  operator: 'actor',
  who: 'actor',
  group: 'name',
};
