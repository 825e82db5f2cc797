// Text in and out: links, digests, names, colours, passwords, languages, system lines, and the table of errors.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { initials, ink_on, k_palette, color_of, unread_text } from '../src/app/format';
import { settings } from '../src/app/i18n.svelte';
import { password_strength } from '../src/app/password';
import { system_text } from '../src/app/system';
import { is_big_emoji, pieces_of, system_of, text_content, text_of } from '../src/app/text';
import { en } from '../src/app/words/en';
import { zh } from '../src/app/words/zh';
import { Backoff } from '../src/wire/backoff';
import { cut_utf8, from_base64, random_uuid, to_base64, utf8_bytes } from '../src/wire/bytes';
import { k_codes } from '../src/wire/errors';
import { system_content } from './mock_server.mjs';

const links = (text: string): string[] =>
  pieces_of(text).flatMap((piece) => (piece.kind === 'link' ? [piece.text] : []));

describe('text', () => {
  it('only http and https become links, and nothing is lost', () => {
    for (const text of [
      'javascript:alert(1)',
      'data:text/html,x',
      'plain',
      '<img src=x onerror=alert(1)>',
      'http://',
      'see https://a.example/x?y=1&z=(2), and http://b.example.',
    ]) {
      expect(
        pieces_of(text)
          .map((piece) => piece.text)
          .join(''),
      ).toBe(text);
    }
    expect(links('javascript:alert(1) JAVASCRIPT://x data:text/html,1 file:///etc/passwd')).toEqual([]);
    expect(links('see https://a.example/x?y=(2), and http://b.example.')).toEqual([
      'https://a.example/x?y=(2)',
      'http://b.example',
    ]);
    expect(links('（https://a.example/路径）。')).toEqual(['https://a.example/路径']);
    expect(links('"https://a.example"onclick="x"')).toEqual(['https://a.example']);
  });
  it('content is the text byte for byte, the digest at most 256 bytes on one line', () => {
    const text = `${'雁'.repeat(200)}\n\n<b>👩‍👩‍👧 \u202Eمرحبا`;
    const made = text_content(text);
    expect(text_of(made)).toBe(text);
    expect(utf8_bytes(made.digest).length).toBeLessThanOrEqual(256);
    expect(made.digest).not.toContain('\n');
  });
  it('bytes survive base64, and text that is none gives none', () => {
    const bytes = Uint8Array.from({ length: 40_000 }, (_, at) => (at * 7) % 256);
    expect(from_base64(to_base64(bytes))).toEqual(bytes);
    expect(from_base64('***')).toEqual(new Uint8Array());
    expect(cut_utf8('ab雁', 4)).toBe('ab');
    expect(random_uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
  it('a few emoji are big, digits and words are not', () => {
    expect(['🎉', '👍🏽', '👩‍👩‍👧', '❤️❤️❤️', '🇨🇳'].map(is_big_emoji)).toEqual([true, true, true, true, true]);
    expect(['1', '#', 'ok 🎉', '', '🎉🎉🎉🎉'].map(is_big_emoji)).toEqual([false, false, false, false, false]);
  });
});

describe('names and numbers', () => {
  it('initials are one sign, or two for words with capitals', () => {
    expect(['Ann Lee', 'ann', '波波', 'مريم', '👻 ghost', '', 'x_y.z'].map(initials)).toEqual([
      'AL',
      'A',
      '波',
      'م',
      '👻',
      '?',
      'XZ',
    ]);
  });
  it('initials read well on every colour that can be chosen', () => {
    for (const one of k_palette) expect(ink_on(color_of('', one))).toBe('#ffffff');
    expect(ink_on('#ffee00')).toBe('#10181a');
  });
  it('unread stops at 999+', () => expect([1, 999, 1000].map(unread_text)).toEqual(['1', '999', '999+']));
  it('passwords: short, guessable, fair, good, strong', () => {
    expect(
      ['abc', 'password1', 'aaaaaaaaaa', 'annannann', 'lkjhgfds', 'lkjHgf12!', 'correct horse battery'].map((one) =>
        password_strength(one, 'ann'),
      ),
    ).toEqual([0, 1, 1, 1, 2, 3, 4]);
  });
  it('backoff doubles, is jittered and ends', () => {
    const backoff = new Backoff(100, 1000, () => 1);
    expect(Array.from({ length: 6 }, () => backoff.next())).toEqual([100, 200, 400, 800, 1000, 1000]);
    backoff.reset();
    expect(new Backoff(100, 1000, () => 0).next()).toBe(50);
    expect(backoff.next()).toBe(100);
  });
});

describe('languages', () => {
  it('have the same placeholders', () => {
    for (const key of Object.keys(en) as (keyof typeof en)[]) {
      const places = (text: string): string[] => [...text.matchAll(/\{\w+\}/g)].map((match) => match[0]).sort();
      expect(places(zh[key]), key).toEqual(places(en[key]));
    }
  });
  it('system lines come from the template, and give up on what they do not know', () => {
    const line = system_of({
      content: Buffer.from(
        system_content('group.member_added', [
          { name: 'actor', uin: '7' },
          { name: 'member', uin: '8' },
          { name: 'member', uin: '9' },
        ]),
      ).toString('base64'),
    })!;
    const name = (uin: string): string => (({ 7: 'You', 8: 'Bo', 9: 'Cy' }) as Record<string, string>)[uin]!;
    expect(system_text(line, name)).toBe('You added Bo, Cy');
    settings.language = 'zh-Hans';
    expect(system_text(line, name)).toBe('You邀请Bo、Cy加入群聊');
    settings.language = 'en';
    expect(system_text({ template: 'no.such', args: [] }, name)).toBe('');
    expect(system_text({ template: 'group.renamed', args: [] }, name)).toBe('');
    expect(system_of({ content: '////' })).toBeNull();
  });
});

describe('errors', () => {
  it('of the server are all known, with their classes', () => {
    const source = readFileSync(new URL('../../../src/model/error_code.h', import.meta.url), 'utf8');
    const table = Object.fromEntries(
      [...source.matchAll(/X\((\d+), (\w+), (\d), "/g)].map((match) => [match[1]!, [match[2]!, Number(match[3])]]),
    );
    expect(Object.keys(table).length).toBeGreaterThan(30);
    expect(k_codes).toMatchObject(table); // Retired ones stay: an older server may still say them.
  });
});
