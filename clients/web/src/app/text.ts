// What is in a message, as data for the components: text, links, system lines. Nothing here makes HTML.
import { fromBinary } from '@bufbuild/protobuf';
import { SystemContentSchema } from '../wire/gen/api/client/message_pb';
import type { ConversationJson, MessageJson, MessageRefJson } from '../wire/types';
import { cut_utf8, from_base64, to_base64, utf8_bytes, utf8_text } from '../wire/bytes';

export const k_text = 1;
export const k_system = 2;
export const k_content_max = 32 * 1024;
const k_digest_max = 256;

export function text_content(text: string): { kind: number; content: string; digest: string } {
  return {
    kind: k_text,
    content: to_base64(utf8_bytes(text)),
    digest: cut_utf8(text.replace(/\s+/g, ' ').trim(), k_digest_max),
  };
}
export const text_of = (message: MessageJson): string => utf8_text(from_base64(message.content ?? ''));

// What a message that quotes this one carries of it. Its place is told from where the quoting one is written.
export function quote_of(message: MessageJson, conversation: ConversationJson): MessageRefJson {
  const { key = '', sender = '0', kind = 0, digest = '' } = message;
  return { conversation, key, sender, kind, digest };
}

export interface SystemLine {
  template: string;
  args: { name: string; text: string; uin: string; number: number }[];
}
export function system_of(message: MessageJson): SystemLine | null {
  try {
    const content = fromBinary(SystemContentSchema, from_base64(message.content ?? ''));
    if (!content.template) return null;
    return {
      template: content.template,
      args: content.args.map((arg) => ({
        name: arg.name,
        text: arg.text,
        uin: String(arg.uin),
        number: Number(arg.number),
      })),
    };
  } catch {
    return null;
  }
}

export type Piece = { kind: 'text'; text: string } | { kind: 'link'; text: string; href: string };
const k_link = /\bhttps?:\/\/[^\s<>"'`\u3000-\u303f\uff00-\uffef]+/giu;
// Splits text into plain pieces and links. Only http and https become links; closing punctuation stays outside.
export function pieces_of(text: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(k_link)) {
    let shown = match[0].replace(/[.,;:!?…]+$/u, '');
    while (
      /[)\]}]$/.test(shown) &&
      count(shown, shown.at(-1)!) > count(shown, { ')': '(', ']': '[', '}': '{' }[shown.at(-1)!]!)
    )
      shown = shown.slice(0, -1);
    let href: string;
    try {
      const url = new URL(shown);
      if (url.protocol !== 'http:' && url.protocol !== 'https:') continue;
      href = url.href;
    } catch {
      continue;
    }
    if (match.index > at) pieces.push({ kind: 'text', text: text.slice(at, match.index) });
    pieces.push({ kind: 'link', text: shown, href });
    at = match.index + shown.length;
  }
  if (at < text.length) pieces.push({ kind: 'text', text: text.slice(at) });
  return pieces;
}
const count = (text: string, character: string): number => text.split(character).length - 1;

// One to three emoji and nothing else are shown large.
export function is_big_emoji(text: string): boolean {
  if (text.length > 40 || !/\p{Extended_Pictographic}|\p{Regional_Indicator}/u.test(text)) return false;
  const parts = [...new Intl.Segmenter().segment(text.trim())].map((part) => part.segment);
  return parts.length <= 3 && parts.every((part) => /\p{Extended_Pictographic}|\p{Regional_Indicator}/u.test(part));
}
