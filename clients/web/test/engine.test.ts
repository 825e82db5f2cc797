// Whole accounts against the server of test/mock_server.mjs over real HTTP and WebSockets: two people, two tabs, broken
// links, a ticket that ends.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { Engine, type EngineDeps } from '../src/app/engine';
import { text_content, text_of } from '../src/app/text';
import { k_top } from '../src/store/rows';
import type { Channel } from '../src/tabs/tabs';
import type { SocketLike } from '../src/wire/link';
import { SessionKeeper } from '../src/wire/session';
import { FakeLocks, FakeStorage, until } from './helpers';
import { MockServer } from './mock_server.mjs';

let server: any;
const engines: Engine[] = [];
beforeAll(async () => {
  server = new MockServer();
  await server.listen();
});
afterAll(async () => {
  for (const engine of engines) engine.stop();
  await server.close();
});

class Profile {
  // Of a browser: storage and locks that its tabs share.
  readonly storage = new FakeStorage();
  readonly locks = new FakeLocks();
  readonly sessions = new SessionKeeper(this.storage);
  deps(): EngineDeps {
    return {
      origin: server.origin,
      sessions: this.sessions,
      fetch: (input, init) => fetch(input, init),
      open_socket: (url) => new WebSocket(url) as unknown as SocketLike,
      exclusive: async (name, work) => {
        let result: any;
        await this.locks.request(name, {}, async () => {
          result = await work();
        });
        return result;
      },
      device: () => ({ id: this.sessions.device_id(), platform: 3 }),
      locale: () => 'en',
      locks: this.locks,
      channel: (name) => new BroadcastChannel(name) as unknown as Channel,
    };
  }
  async tab(): Promise<Engine & { log: string[] }> {
    const log: string[] = [];
    const engine = new Engine(this.sessions.load()!.uin, this.deps(), {
      change: () => log.push('change'),
      net: (net) => log.push(net),
      typing: (conv) => log.push(`typing ${conv}`),
      ended: () => log.push('ended'),
      logout: () => log.push('logout'),
      synced: () => log.push('synced'),
    });
    engines.push(engine);
    await engine.start();
    return Object.assign(engine, { log });
  }
  log_in(user: any): this {
    const made = server.open_session(user, { id: this.sessions.device_id() });
    this.sessions.save({ uin: made.uin, ticket: made.ticket, refresh: made.refresh, epoch: made.deviceEpoch });
    return this;
  }
}
let people = 0;
function pair(): [any, any] {
  const [a, b] = [1, 2].map(() => server.make_user(`user${people++}`, 'password', 'A person')) as [any, any];
  server.befriend(a, b, true);
  return [a, b];
}
const syncs = (): number => server.requests.filter((path: string) => path === 'sync').length;
const texts = async (engine: Engine, conv: string): Promise<string[]> =>
  (await engine.store.page(conv, k_top, 1000, true)).rows.map((row) => text_of(row.message));

describe('two people', () => {
  it('chat, and each message is there once on both sides', async () => {
    const [a, b] = pair();
    const ann = await new Profile().log_in(a).tab();
    const bo = await new Profile().log_in(b).tab();
    await until(() => ann.log.includes('synced') && bo.log.includes('synced'));
    await ann.send(`1:${b.uin}`, [text_content('one'), text_content('two')]);
    await until(async () => (await texts(bo, `1:${a.uin}`)).length === 2);
    await bo.send(`1:${a.uin}`, [text_content('three')]);
    for (const [engine, conv] of [
      [ann, `1:${b.uin}`],
      [bo, `1:${a.uin}`],
    ] as const)
      await until(async () => (await texts(engine, conv)).join() === 'one,two,three');
    await until(async () => (await ann.store.outbox()).length === 0 && (await bo.store.outbox()).length === 0);
    expect((await bo.store.conversation(`1:${a.uin}`))?.unread).toBe(2);
    await bo.mark_read(`1:${a.uin}`, 1e9);
    await until(async () => (await bo.store.conversation(`1:${a.uin}`))?.read_wanted === undefined);
    expect((await bo.store.conversation(`1:${a.uin}`))?.unread).toBe(0);
  });
  it('lose nothing and double nothing while links break', async () => {
    const [a, b] = pair();
    const ann = await new Profile().log_in(a).tab();
    const bo = await new Profile().log_in(b).tab();
    await until(() => ann.net === 'online' && bo.net === 'online');
    const sent: string[] = [];
    for (let i = 0; i < 30; i += 1) {
      sent.push(`m${i}`);
      await ann.send(`1:${b.uin}`, [text_content(`m${i}`)]);
      if (i % 7 === 3) server.break_links();
      if (i % 10 === 5) {
        ann.poke();
        bo.poke();
      }
    }
    await until(async () => {
      ann.poke();
      bo.poke();
      return (await texts(bo, `1:${a.uin}`)).length >= 30;
    }, 15_000);
    expect(await texts(bo, `1:${a.uin}`)).toEqual(sent);
    await until(async () => (await ann.store.outbox()).length === 0, 10_000);
    expect(await texts(ann, `1:${b.uin}`)).toEqual(sent);
  });
  it('what is written offline is sent in order when the server is back', async () => {
    const [a, b] = pair();
    const ann = await new Profile().log_in(a).tab();
    await until(() => ann.net === 'online');
    server.refuse(true);
    for (const text of ['x', 'y', 'z']) await ann.send(`1:${b.uin}`, [text_content(text)]);
    await until(() => ann.net !== 'online');
    expect((await ann.store.outbox()).map((row) => row.state)).not.toContain('sent');
    server.refuse(false);
    ann.poke();
    await until(async () => (await texts(ann, `1:${b.uin}`)).length === 3, 10_000);
    expect(await texts(ann, `1:${b.uin}`)).toEqual(['x', 'y', 'z']);
  });
  it('chat over long polling where WebSockets do not get through', async () => {
    const [a, b] = pair();
    server.no_ws = true;
    try {
      const ann = await new Profile().log_in(a).tab();
      await until(() => ann.wire.link.state === 'polling' || server.polls.size > 0, 10_000);
      server.say(b, a, 'by poll');
      await until(async () => (await texts(ann, `1:${b.uin}`)).includes('by poll'), 10_000);
      await ann.send(`1:${b.uin}`, [text_content('answer')]);
      await until(async () => (await texts(ann, `1:${b.uin}`)).includes('answer'), 10_000);
      ann.stop();
    } finally {
      server.no_ws = false;
    }
  }, 30_000);
});

describe('a kind this client does not know', () => {
  it('is kept and forwarded byte for byte', async () => {
    const [a, b] = pair();
    const ann = await new Profile().log_in(a).tab();
    const content = Buffer.from(Array.from({ length: 300 }, (_, at) => (at * 37) % 256)).toString('base64');
    server.send(b, {
      conversation: { type: 1, id: a.uin },
      clientMsgId: 'strange',
      kind: 60001,
      content,
      digest: 'strange',
      flags: 3,
      ext: 'AP8B',
    });
    const row = await until(async () => (await ann.store.page(`1:${b.uin}`, k_top, 10, true)).rows[0]);
    expect(row.message).toMatchObject({ kind: 60001, content, ext: 'AP8B' });
    await ann.forward(`1:${a.uin}`, row.message);
    const copy = await until(async () => (await ann.store.page(`1:${a.uin}`, k_top, 10, true)).rows[0]);
    expect(copy.message).toMatchObject({
      kind: 60001,
      content,
      digest: 'strange',
      flags: 3,
      ext: 'AP8B',
      sender: a.uin,
    });
  });
});

describe('two tabs of one account', () => {
  it('follow each other, one syncs, and the other takes over when it goes', async () => {
    const [a, b] = pair();
    const profile = new Profile().log_in(a);
    const first = await profile.tab();
    const second = await profile.tab();
    await until(() => first.log.includes('synced'));
    expect([first.leading, second.leading]).toEqual([true, false]);
    await second.send(`1:${b.uin}`, [text_content('from the follower')]);
    await until(async () => (await texts(first, `1:${b.uin}`)).length === 1);
    expect(await texts(second, `1:${b.uin}`)).toEqual(['from the follower']);
    await until(() => second.net === 'online');
    expect(second.leading).toBe(false);
    const before = syncs();
    first.stop();
    await until(() => second.leading && syncs() > before); // The first one asks no more: it is the second that does.
    server.say(b, a, 'to the new leader');
    await until(async () => (await texts(second, `1:${b.uin}`)).includes('to the new leader'));
  });
});

describe('the session', () => {
  it('renews a ticket that ended, once, and goes on', async () => {
    const [a] = pair();
    const profile = new Profile().log_in(a);
    server.tickets.delete(profile.sessions.load()!.ticket);
    const before = server.requests.length;
    const ann = await profile.tab();
    await until(() => ann.log.includes('synced'));
    expect(server.requests.slice(before).filter((path: string) => path === 'login')).toHaveLength(1);
    expect(ann.log).not.toContain('ended');
  });
  it('ends when the device is logged out elsewhere; the messages stay', async () => {
    const [a, b] = pair();
    server.say(b, a, 'keep me');
    const profile = new Profile().log_in(a);
    const ann = await profile.tab();
    await until(async () => (await texts(ann, `1:${b.uin}`)).length === 1);
    server.kick(a, profile.sessions.device_id());
    await until(() => ann.log.includes('ended'));
    expect(profile.sessions.load()).toBeNull();
    const again = await profile.log_in(a).tab();
    expect(await texts(again, `1:${b.uin}`)).toEqual(['keep me']);
  });
});

describe('history', () => {
  it('comes page by page from the server, then from here', async () => {
    const [a, b] = pair();
    for (let i = 0; i < 130; i += 1) server.say(b, a, `h${i}`, 1_700_000_000_000 + i);
    server.sync_rows = 50; // The log is longer: a new device gets the last page only.
    const ann = await new Profile().log_in(a).tab();
    await until(() => ann.log.includes('synced'));
    server.sync_rows = 400;
    const conv = `1:${b.uin}`;
    expect((await texts(ann, conv)).length).toBe(20);
    let page = await ann.older(conv, k_top);
    const seen = [...page.rows];
    while (page.more) {
      expect(page.complete).toBe(true);
      page = await ann.older(conv, seen[0]!.pos);
      seen.unshift(...page.rows);
    }
    expect(seen.map((row) => text_of(row.message))).toEqual(Array.from({ length: 130 }, (_, i) => `h${i}`));
    const before = server.requests.length;
    await ann.older(conv, k_top);
    expect(server.requests.slice(before)).not.toContain('history');
  });
  it('survives a reset: the gap is filled, nothing is lost', async () => {
    const [a, b] = pair();
    const conv = `1:${b.uin}`;
    for (let i = 0; i < 5; i += 1) server.say(b, a, `old${i}`);
    const profile = new Profile().log_in(a);
    const ann = await profile.tab();
    await until(async () => (await texts(ann, conv)).length === 5);
    ann.stop();
    for (let i = 0; i < 20; i += 1) server.say(b, a, `new${i}`);
    server.reset_next_sync(a.uin);
    const again = await profile.tab();
    await until(() => again.log.includes('synced'));
    expect((await texts(again, conv)).length).toBe(8);
    const page = await again.older(conv, k_top);
    expect(page.rows.map((row) => text_of(row.message))).toEqual([
      ...Array.from({ length: 5 }, (_, i) => `old${i}`),
      ...Array.from({ length: 20 }, (_, i) => `new${i}`),
    ]);
  });
});
