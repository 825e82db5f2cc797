// Base64 as in protobuf JSON, UTF-8, and random ids.
export function to_base64(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}
// Also takes the URL alphabet and missing padding; text that is no base64 gives no bytes.
export function from_base64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}
export const utf8_bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const utf8_text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

export function random_bytes(count: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(count));
}
// crypto.randomUUID needs a secure context; a page on a plain address of a local network has none.
export function random_uuid(): string {
  const bytes = random_bytes(16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
// The longest start of `text` that has at most `max` bytes and cuts no character.
export function cut_utf8(text: string, max: number): string {
  if (utf8_bytes(text).length <= max) return text;
  let size = 0;
  let out = '';
  for (const character of text) {
    size += utf8_bytes(character).length;
    if (size > max) break;
    out += character;
  }
  return out;
}
