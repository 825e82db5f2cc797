// The store's promises: exactly once, nothing skipped by a crash, history never lost. Every test applies answers of
// sync and pages of history and looks at the rows.
import { describe, expect, it } from 'vitest';
import { k_top, type Change } from '../src/store/rows';
import { text_content } from '../src/app/text';
import { answer, entries, fresh_store, message, peer, positions } from './helpers';

const conv = `1:${peer}`;

describe('sync answers', () => {
  it('write rows and snapshot together', async () => {
    const changes: Change[] = [];
    const store = await fresh_store(changes);
    expect(await store.apply_sync('', answer('s1', entries(message(1), message(2))))).toBe(true);
    expect(await store.snapshot()).toBe('s1');
    expect(await positions(store, conv)).toEqual([1, 2]);
    expect(changes.at(-1)?.messages?.map((row) => row.pos)).toEqual([1, 2]);
  });
  it('are dropped when another tab has moved the snapshot', async () => {
    const store = await fresh_store();
    await store.apply_sync('', answer('s1', entries(message(1))));
    expect(await store.apply_sync('', answer('s2', entries(message(2))))).toBe(false);
    expect(await store.snapshot()).toBe('s1');
    expect(await positions(store, conv)).toEqual([1]);
  });
  it('given again change nothing: no message twice, unread counted once', async () => {
    const store = await fresh_store();
    await store.apply_sync('', answer('s1', entries(message(1), message(2))));
    await store.apply_sync('s1', answer('s2', entries(message(1), message(2), message(3))));
    expect(await positions(store, conv)).toEqual([1, 2, 3]);
    expect((await store.conversation(conv))?.unread).toBe(3);
  });
  it('that fail half-way leave neither rows nor snapshot', async () => {
    const store = await fresh_store();
    await store.apply_sync('', answer('s1', entries(message(1))));
    const broken = answer('s2', [
      ...entries(message(2)),
      { message: { ...message(3), position: (() => {}) as unknown as string } },
    ]);
    await expect(store.apply_sync('s1', broken)).rejects.toThrow();
    expect(await store.snapshot()).toBe('s1');
    expect(await positions(store, conv)).toEqual([1]);
    expect(await store.apply_sync('s1', answer('s2', entries(message(2), message(3))))).toBe(true);
    expect(await positions(store, conv)).toEqual([1, 2, 3]);
  });
  it('with an entry of a newer server are applied without it', async () => {
    const store = await fresh_store();
    await store.apply_sync('', answer('s1', [{ hologram: { size: 3 } } as never, ...entries(message(1))]));
    expect(await store.snapshot()).toBe('s1');
    expect(await positions(store, conv)).toEqual([1]);
  });
  it('keep kinds and fields this client does not know as they came', async () => {
    const store = await fresh_store();
    const strange = { ...message(1, { kind: 60001, content: '/+8AAQI=', ext: 'qrs=' }), futureField: { a: [1, '2'] } };
    await store.apply_sync('', answer('s1', [{ message: strange }]));
    expect((await store.page(conv, k_top, 10, true)).rows[0]!.message).toEqual(strange);
  });
  it('with a reset keep every message and mark the gap', async () => {
    const store = await fresh_store();
    await store.apply_sync('', answer('s1', entries(message(1), message(2))));
    await store.apply_history(conv, (await store.conversation(conv))!.holes[0]!, [], false);
    await store.apply_sync('s1', answer('s9', entries(message(50), message(51)), { reset: true }));
    expect(await positions(store, conv)).toEqual([1, 2, 50, 51]);
    const page = await store.page(conv, k_top, 10);
    expect(page.rows.map((row) => row.pos)).toEqual([50, 51]);
    expect(page.hole).toBe(50);
  });
  it('with a reset and no news of a chat make the chat ask for its newest page', async () => {
    const store = await fresh_store();
    await store.apply_sync('', answer('s1', entries(message(1))));
    await store.apply_sync('s1', answer('s9', [], { reset: true }));
    expect((await store.page(conv, k_top, 10)).hole).toBe(k_top);
    await store.apply_history(conv, k_top, [message(1)], false);
    expect((await store.page(conv, k_top, 10)).hole).toBe(0);
  });
  it('of a forgotten snapshot start again without losing anything', async () => {
    const store = await fresh_store();
    await store.apply_sync('', answer('s1', entries(message(1))));
    await store.forget_snapshot();
    await store.apply_sync('', answer('s2', entries(message(7))));
    expect(await positions(store, conv)).toEqual([1, 7]);
  });
});

describe('unread', () => {
  it('is the count of the server plus what came after it', async () => {
    const store = await fresh_store();
    await store.apply_sync(
      '',
      answer('s1', [
        ...entries(message(1), message(2), message(3)),
        {
          state: { conversation: { type: 1, id: peer }, lastPosition: '3', readPosition: '1', unread: 2, version: '3' },
        },
      ]),
    );
    expect((await store.conversation(conv))?.unread).toBe(2);
    await store.apply_sync('s1', answer('s2', entries(message(4))));
    expect((await store.conversation(conv))?.unread).toBe(3);
  });
  it('does not count my own and silent messages', async () => {
    const store = await fresh_store();
    await store.apply_sync(
      '',
      answer('s1', entries(message(1, { sender: store.uin }), message(2, { flags: 1 }), message(3))),
    );
    expect((await store.conversation(conv))?.unread).toBe(1);
  });
  it('is zero as soon as it is read here, also before the server knows', async () => {
    const store = await fresh_store();
    await store.apply_sync('', answer('s1', entries(message(1), message(2))));
    expect(await store.mark_read(conv, 2)).toBe(true);
    expect(await store.conversation(conv)).toMatchObject({ unread: 0, read_wanted: 2 });
    await store.put_state({
      conversation: { type: 1, id: peer },
      lastPosition: '2',
      readPosition: '0',
      unread: 2,
      version: '2',
    });
    expect((await store.conversation(conv))?.unread).toBe(0);
    await store.put_state({
      conversation: { type: 1, id: peer },
      lastPosition: '2',
      readPosition: '2',
      unread: 0,
      version: '3',
    });
    expect((await store.conversation(conv))?.read_wanted).toBeUndefined();
  });
  it('follows a state that another device made and ignores an older one', async () => {
    const store = await fresh_store();
    await store.apply_sync('', answer('s1', entries(message(1), message(2))));
    await store.apply_sync(
      's1',
      answer('s2', [
        { state: { conversation: { type: 1, id: peer }, lastPosition: '2', readPosition: '2', version: '5' } },
      ]),
    );
    expect((await store.conversation(conv))?.unread).toBe(0);
    await store.apply_sync(
      's2',
      answer('s3', [{ state: { conversation: { type: 1, id: peer }, lastPosition: '1', unread: 1, version: '1' } }]),
    );
    expect((await store.conversation(conv))?.unread).toBe(0);
  });
  it('of a marker stands without its messages, which history brings', async () => {
    const store = await fresh_store();
    await store.apply_sync(
      '',
      answer('s1', [
        {
          marker: {
            conversation: { type: 2, id: '5' },
            upTo: '900',
            unread: 900,
            last: message(900, { conversation: { type: 2, id: '5' } }),
          },
        },
      ]),
    );
    expect(await store.conversation('2:5')).toMatchObject({ unread: 900, last_position: 900 });
    expect((await store.page('2:5', k_top, 10)).hole).toBe(k_top);
  });
  it('of a marker leaves a hole also when a state has named its last message before', async () => {
    const store = await fresh_store();
    const conversation = { type: 2, id: '5' };
    const here = (pos: number) => message(pos, { conversation });
    await store.apply_sync('', answer('s1', entries(here(1), here(2))));
    await store.apply_history('2:5', 1, [], false);
    await store.apply_sync(
      's1',
      answer('s2', [
        { state: { conversation, lastPosition: '9', readPosition: '2', unread: 7, version: '3', last: here(9) } },
        { marker: { conversation, upTo: '9', unread: 7, unreadMentions: 1, last: here(9) } },
      ]),
    );
    expect(await store.conversation('2:5')).toMatchObject({ unread: 7, mentions: 1, last_position: 9 });
    expect((await store.page('2:5', k_top, 10)).hole).toBe(k_top);
    await store.apply_history('2:5', k_top, [9, 8, 7, 6, 5, 4, 3, 2].map(here), true);
    expect((await store.page('2:5', k_top, 10)).rows.map((row) => row.pos)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await store.apply_sync('s2', answer('s3', [{ marker: { conversation, upTo: '9', unread: 7 } }]));
    expect((await store.page('2:5', k_top, 10)).hole).toBe(0);
  });
});

describe('history', () => {
  it('closes the hole it spans and leaves one below', async () => {
    const store = await fresh_store();
    await store.apply_sync('', answer('s1', entries(message(100))));
    expect((await store.page(conv, k_top, 10)).hole).toBe(100);
    await store.apply_history(conv, 100, [message(99), message(98)], true);
    expect(await store.page(conv, k_top, 10)).toMatchObject({ hole: 98 });
    await store.apply_history(conv, 98, [message(97)], false);
    expect(await store.page(conv, k_top, 10)).toMatchObject({ hole: 0 });
    expect(await positions(store, conv)).toEqual([97, 98, 99, 100]);
  });
  it('joins an older block without asking for it again', async () => {
    const store = await fresh_store();
    await store.apply_sync('', answer('s1', entries(message(1), message(2), message(3))));
    await store.apply_history(conv, 1, [], false);
    await store.apply_sync('s1', answer('s2', entries(message(10)), { reset: true }));
    await store.apply_history(conv, 10, [message(9), message(3), message(2)], true);
    const page = await store.page(conv, k_top, 10);
    expect(page.hole).toBe(0);
    expect(page.rows.map((row) => row.pos)).toEqual([1, 2, 3, 9, 10]);
  });
  it('of a first sync whose messages come newest first has its hole at the lowest', async () => {
    const store = await fresh_store();
    await store.apply_sync('', answer('s1', entries(message(12)), { more: true }));
    await store.apply_sync('s1', answer('s2', entries(message(11), message(10)), { more: false }));
    expect(await store.page(conv, k_top, 10)).toMatchObject({ hole: 10 });
  });
  it('does not show what was cleared', async () => {
    const store = await fresh_store();
    await store.apply_sync('', answer('s1', entries(message(1), message(2), message(3))));
    await store.clear_messages(conv, 2);
    expect((await store.page(conv, k_top, 10)).rows.map((row) => row.pos)).toEqual([3]);
    expect((await store.page(conv, k_top, 10)).hole).toBe(0);
  });
});

describe('updates', () => {
  it('recall erases the text, and an older copy does not bring it back', async () => {
    const store = await fresh_store();
    const before = message(1);
    await store.apply_sync('', answer('s1', entries(before)));
    await store.apply_sync(
      's1',
      answer('s2', [{ update: { key: before.key, conversation: before.conversation, state: 1, revision: 1 } }]),
    );
    const row = (await store.page(conv, k_top, 10, true)).rows[0]!;
    expect(row.message).toMatchObject({ state: 1, content: '' });
    await store.apply_history(conv, k_top, [before], false);
    expect((await store.page(conv, k_top, 10, true)).rows[0]!.message.state).toBe(1);
  });
});

describe('the outbox', () => {
  it('loses a row in the transaction that brings its message', async () => {
    const changes: Change[] = [];
    const store = await fresh_store(changes);
    await store.add_outbox([
      {
        id: 'mine-1',
        conv,
        state: 'sending',
        created: 1,
        message: { conversation: { type: 1, id: peer }, clientMsgId: 'mine-1', ...text_content('hi') },
      },
    ]);
    await store.apply_sync('', answer('s1', entries(message(1, { sender: store.uin, clientMsgId: 'mine-1' }))));
    expect(await store.outbox()).toEqual([]);
    expect(changes.at(-1)).toMatchObject({ outbox: [conv] });
    expect(changes.at(-1)!.messages).toHaveLength(1);
  });
  it('is not touched by somebody else’s message with the same id', async () => {
    const store = await fresh_store();
    await store.add_outbox([{ id: 'same', conv, state: 'sending', created: 1, message: {} }]);
    await store.apply_sync('', answer('s1', entries(message(1, { clientMsgId: 'same' }))));
    expect(await store.outbox()).toHaveLength(1);
  });
});
