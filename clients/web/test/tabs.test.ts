// Which tab leads, and what the others hear.
import { describe, expect, it, vi } from 'vitest';
import { Tabs, type Channel } from '../src/tabs/tabs';
import { FakeLocks, until } from './helpers';

let names = 0;
function profile() {
  const locks = new FakeLocks();
  const name = `tabs-${names++}`;
  const open = (label: string, log: string[]): Tabs<string> =>
    new Tabs<string>({
      name,
      locks,
      channel: new BroadcastChannel(name) as unknown as Channel,
      lead: () => log.push(`${label} leads`),
      unlead: () => log.push(`${label} stops`),
      hear: (message) => log.push(`${label} hears ${message}`),
    });
  return open;
}

describe('tabs', () => {
  it('one leads, the next takes over when it leaves, in order and without a timer', async () => {
    const open = profile();
    const log: string[] = [];
    const [a, b, c] = ['a', 'b', 'c'].map((label) => open(label, log)) as [Tabs<string>, Tabs<string>, Tabs<string>];
    for (const tab of [a, b, c]) tab.join();
    expect(log).toEqual(['a leads']);
    vi.useFakeTimers(); // None of them rings: the lock alone makes the next one lead.
    try {
      a.leave();
      for (let step = 0; step < 20 && !b.leading; step += 1) await Promise.resolve();
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
    expect(log).toEqual(['a leads', 'a stops', 'b leads']);
    expect(c.leading).toBe(false);
    b.leave();
    await until(() => c.leading);
    c.leave();
  });
  it('a tab that leaves while it waits never leads', async () => {
    const open = profile();
    const log: string[] = [];
    const a = open('a', log);
    const b = open('b', log);
    const c = open('c', log);
    for (const tab of [a, b, c]) tab.join();
    b.leave();
    a.leave();
    await until(() => c.leading);
    expect(log).toEqual(['a leads', 'a stops', 'c leads']);
    c.leave();
  });
  it('what one says the others hear, and it does not', async () => {
    const open = profile();
    const log: string[] = [];
    const a = open('a', log);
    const b = open('b', log);
    a.join();
    b.join();
    b.say('hello');
    await until(() => log.includes('a hears hello'));
    expect(log).not.toContain('b hears hello');
    a.leave();
    b.leave();
  });
  it('without Web Locks every tab leads itself', () => {
    const log: string[] = [];
    const tab = new Tabs<string>({
      name: 'x',
      locks: null,
      channel: null,
      lead: () => log.push('leads'),
      unlead: () => log.push('stops'),
      hear: () => {},
    });
    tab.join();
    tab.say('nobody hears this');
    tab.leave();
    expect(log).toEqual(['leads', 'stops']);
  });
});
