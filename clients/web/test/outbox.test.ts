// Order, retries and failures of sending, against a server that is a function.
import { describe, expect, it } from 'vitest';
import { k_resend_ms, Outbox } from '../src/outbox/outbox';
import type { OutboxRow } from '../src/store/rows';
import type { Store } from '../src/store/store';
import { local_error, RemoteError } from '../src/wire/errors';
import type { MessageJson, SendResponseJson } from '../src/wire/types';
import { fresh_store, until } from './helpers';

type Send = (messages: MessageJson[]) => Promise<SendResponseJson> | SendResponseJson;
const ok: Send = (messages) => ({ sent: messages.map((one) => ({ clientMsgId: one.clientMsgId, serverTimeMs: '5' })) });
const row = (id: string, conv = '1:7', created = Date.now()): OutboxRow => ({
  id,
  conv,
  state: 'queued',
  created,
  message: { clientMsgId: id, conversation: { type: 1, id: conv.slice(2) } },
});

async function make(send: Send, now?: () => number) {
  const store = await fresh_store();
  const sent: string[][] = [];
  const outbox = new Outbox({
    store,
    now,
    random: () => 0,
    send: async (messages) => {
      sent.push(messages.map((one) => one.clientMsgId!));
      return send(messages);
    },
  });
  return { store, outbox, sent };
}
const states = async (store: Store): Promise<Record<string, string>> =>
  Object.fromEntries((await store.outbox()).map((one) => [one.id, one.state]));

describe('the outbox', () => {
  it('sends in the order of writing, 16 in a request', async () => {
    const { store, outbox, sent } = await make(ok);
    const ids = Array.from({ length: 20 }, (_, at) => `m${at}`);
    await store.add_outbox(ids.map((id) => row(id)));
    await outbox.pump();
    expect(sent.map((batch) => batch.length)).toEqual([16, 4]);
    expect(sent.flat()).toEqual(ids);
    expect(new Set(Object.values(await states(store)))).toEqual(new Set(['sent']));
  });
  it('has one request in flight per conversation; another conversation does not wait', async () => {
    const open: (() => void)[] = [];
    const { store, outbox, sent } = await make(
      (messages) => new Promise((resolve) => open.push(() => resolve(ok(messages)))),
    );
    await store.add_outbox([row('a1'), row('b1', '1:8')]);
    void outbox.pump();
    await until(() => sent.length === 2);
    await store.add_outbox([row('a2')]);
    await outbox.pump();
    expect(sent).toEqual([['a1'], ['b1']]);
    open.shift()!();
    await until(() => sent.length === 3);
    expect(sent[2]).toEqual(['a2']);
    for (const one of open) one();
  });
  it('sends the same id again after an unknown outcome, before anything newer', async () => {
    let failures = 1;
    const { store, outbox, sent } = await make((messages) => {
      if (failures-- > 0) throw local_error(17, 'broke');
      return ok(messages);
    });
    await store.add_outbox([row('a1')]);
    await outbox.pump();
    expect(await states(store)).toEqual({ a1: 'sending' });
    await store.add_outbox([row('a2')]);
    await outbox.pump();
    expect(sent).toEqual([['a1']]);
    await outbox.up();
    expect(sent).toEqual([['a1'], ['a1', 'a2']]);
    expect(await states(store)).toEqual({ a1: 'sent', a2: 'sent' });
  });
  it('marks a message that is refused for good and goes on with the next', async () => {
    const { store, outbox, sent } = await make((messages) => {
      const at = messages.findIndex((one) => one.clientMsgId === 'bad');
      if (at < 0) return ok(messages);
      const response: SendResponseJson = {
        sent: [
          ...messages.slice(0, at).map((one) => ({ clientMsgId: one.clientMsgId })),
          { clientMsgId: 'bad', code: 105 },
        ],
      };
      throw new RemoteError(105, 5, 0, '', response);
    });
    await store.add_outbox([row('a1'), row('bad'), row('a3')]);
    await outbox.pump();
    expect(sent).toEqual([['a1', 'bad', 'a3'], ['a3']]);
    expect(await states(store)).toEqual({ a1: 'sent', bad: 'failed', a3: 'sent' });
    expect((await store.outbox()).find((one) => one.id === 'bad')?.error).toBe(105);
  });
  it('takes the first of the batch for the culprit when the answer names none', async () => {
    const { store, outbox } = await make((messages) => {
      if (messages[0]!.clientMsgId === 'a1') throw new RemoteError(11, 5);
      return ok(messages);
    });
    await store.add_outbox([row('a1'), row('a2')]);
    await outbox.pump();
    expect(await states(store)).toEqual({ a1: 'failed', a2: 'sent' });
  });
  it('asks the person after seven days', async () => {
    const { store, outbox, sent } = await make(ok);
    await store.add_outbox([row('old', '1:7', Date.now() - k_resend_ms - 1000), row('new')]);
    await outbox.pump();
    expect(sent).toEqual([['new']]);
    expect(await states(store)).toEqual({ old: 'failed', new: 'sent' });
  });
  it('tries again by itself after a rest', async () => {
    let failures = 1;
    const { store, outbox, sent } = await make((messages) => {
      if (failures-- > 0) throw new RemoteError(3, 2, 20);
      return ok(messages);
    });
    await store.add_outbox([row('a1')]);
    await outbox.pump();
    await until(() => sent.length === 2);
    await until(async () => (await states(store)).a1 === 'sent');
  });
  it('leaves everything for the next login when the session ended', async () => {
    const { store, outbox, sent } = await make(() => {
      throw new RemoteError(6, 3);
    });
    await store.add_outbox([row('a1')]);
    await outbox.pump();
    expect(sent).toHaveLength(1);
    expect(await states(store)).toEqual({ a1: 'sending' });
  });
});
