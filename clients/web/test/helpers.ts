import 'fake-indexeddb/auto';
import { Store } from '../src/store/store';
import type { Change } from '../src/store/rows';
import type { EntryJson, MessageJson, SyncResponseJson } from '../src/wire/types';
import type { Locks } from '../src/tabs/tabs';
import { text_content } from '../src/app/text';

let next_account = 1;
// An empty store of an account that no other test uses.
export async function fresh_store(changes: Change[] = []): Promise<Store> {
  return Store.open(`9${next_account++}`, (change) => changes.push(change));
}

export const peer = '77';
export function message(position: number, more: Partial<MessageJson> = {}): MessageJson {
  return {
    key: `key-${more.conversation?.id ?? peer}-${position}`,
    conversation: { type: 1, id: peer },
    sender: peer,
    clientMsgId: `c-${position}`,
    position: String(position),
    version: String(position),
    serverTimeMs: String(1_700_000_000_000 + position * 1000),
    ...text_content(`message ${position}`),
    ...more,
  };
}
export const entries = (...messages: MessageJson[]): EntryJson[] => messages.map((one) => ({ message: one }));
export const answer = (
  snapshot: string,
  list: EntryJson[],
  more: Partial<SyncResponseJson> = {},
): SyncResponseJson => ({ snapshot, entries: list, ...more });
export async function positions(store: Store, conv: string): Promise<number[]> {
  return (await store.page(conv, Number.MAX_SAFE_INTEGER, 1000, true)).rows.map((row) => row.pos);
}
export async function until<T>(what: () => T | Promise<T>, ms = 5000): Promise<NonNullable<T>> {
  const end = Date.now() + ms;
  for (;;) {
    const value = await what();
    if (value) return value as NonNullable<T>;
    if (Date.now() > end) throw new Error(`it did not become so within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
// Web Locks of one browser profile: one holder a name, the next in line when it lets go.
export class FakeLocks implements Locks {
  private readonly held = new Set<string>();
  private readonly waiting: { name: string; run: () => void }[] = [];
  request(name: string, options: { signal?: AbortSignal }, work: () => Promise<void>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const entry = {
        name,
        run: () => {
          this.held.add(name);
          void work()
            .then(resolve, reject)
            .finally(() => {
              this.held.delete(name);
              const at = this.waiting.findIndex((one) => one.name === name);
              if (at >= 0) this.waiting.splice(at, 1)[0]!.run();
            });
        },
      };
      if (!this.held.has(name)) {
        entry.run();
        return;
      }
      this.waiting.push(entry);
      options.signal?.addEventListener('abort', () => {
        const at = this.waiting.indexOf(entry);
        if (at >= 0) {
          this.waiting.splice(at, 1);
          reject(new Error('aborted'));
        }
      });
    });
  }
}
export class FakeStorage {
  private readonly map = new Map<string, string>();
  getItem(key: string): string | null {
    return this.map.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    this.map.set(key, value);
  }
  removeItem(key: string): void {
    this.map.delete(key);
  }
}
