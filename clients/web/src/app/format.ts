// Times, names and colours as people read them.
import { settings, t } from './i18n.svelte';

const k_day_ms = 24 * 3600 * 1000;
const start_of_day = (time: number): number => new Date(time).setHours(0, 0, 0, 0);
function days_ago(time: number, now: number): number {
  return Math.round((start_of_day(now) - start_of_day(time)) / k_day_ms);
}

export function clock(time: number): string {
  return new Date(time).toLocaleTimeString(settings.language, { hour: '2-digit', minute: '2-digit', hour12: false });
}
// In the list: a clock today, a weekday this week, else a date.
export function list_time(time: number, now = Date.now()): string {
  if (time <= 0) return '';
  const days = days_ago(time, now);
  if (days <= 0) return clock(time);
  if (days === 1) return t('day.yesterday');
  if (days < 7) return new Date(time).toLocaleDateString(settings.language, { weekday: 'short' });
  const year = new Date(time).getFullYear() !== new Date(now).getFullYear();
  return new Date(time).toLocaleDateString(settings.language, {
    year: year ? '2-digit' : undefined,
    month: 'numeric',
    day: 'numeric',
  });
}
export function day_title(time: number, now = Date.now()): string {
  const days = days_ago(time, now);
  if (days === 0) return t('day.today');
  if (days === 1) return t('day.yesterday');
  const year = new Date(time).getFullYear() !== new Date(now).getFullYear();
  return new Date(time).toLocaleDateString(settings.language, {
    weekday: 'long',
    year: year ? 'numeric' : undefined,
    month: 'long',
    day: 'numeric',
  });
}
export function full_time(time: number): string {
  return new Date(time).toLocaleString(settings.language, {
    dateStyle: 'medium',
    timeStyle: 'medium',
    hour12: false,
  } as Intl.DateTimeFormatOptions);
}
export const unread_text = (count: number): string => (count > 999 ? '999+' : String(count));

// One sign for a script without capitals, up to two letters else.
export function initials(name: string): string {
  const clean = name.trim();
  if (!clean) return '?';
  const first = graphemes(clean)[0]!;
  if (!/^[\p{L}\p{N}]/u.test(first)) return first;
  const words = clean.split(/[\s_.\-]+/u).filter((word) => /^[\p{L}\p{N}]/u.test(word));
  if (words.length > 1 && /^\p{Script=Latin}|^\p{Script=Cyrillic}|^\p{Script=Greek}/u.test(clean))
    return (graphemes(words[0]!)[0]! + graphemes(words.at(-1)!)[0]!).toUpperCase();
  return first.toUpperCase();
}
const graphemes = (text: string): string[] =>
  [...new Intl.Segmenter().segment(text.slice(0, 40))].map((part) => part.segment);

export const k_palette = [
  0x0b7a75, 0x2563a8, 0x7a4fbf, 0xb03a78, 0xb5443a, 0xa8590f, 0x6b7a12, 0x2f7d3b, 0x3f6b7d, 0x6a5a4d,
] as const;
export function color_of(id: string, chosen = 0): string {
  let number = chosen;
  if (!number) {
    let hash = 7;
    for (const character of id) hash = (hash * 31 + character.charCodeAt(0)) >>> 0;
    number = k_palette[hash % k_palette.length]!;
  }
  return `#${(number & 0xffffff).toString(16).padStart(6, '0')}`;
}
// Black or white, whichever reads better on the colour (WCAG contrast).
export function ink_on(color: string): string {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = parseInt(color.slice(at, at + 2), 16) / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return 1.05 / (light + 0.05) >= (light + 0.05) / 0.05 ? '#ffffff' : '#10181a';
}
