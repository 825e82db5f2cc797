// The loop against a store and a server made of arrays: runs never overlap, nothing is asked after it stopped.
import { describe, expect, it } from 'vitest';
import { SyncLoop } from '../src/sync/sync';
import { local_error, RemoteError } from '../src/wire/errors';
import type { SyncResponseJson } from '../src/wire/types';
import { until } from './helpers';

function make(server: (snapshot: string) => SyncResponseJson | Promise<SyncResponseJson>) {
  const log: string[] = [];
  let snapshot = '';
  let asking = 0;
  const loop = new SyncLoop({
    store: {
      snapshot: async () => snapshot,
      apply_sync: async (asked, answer) => {
        if (asked !== snapshot) return false;
        snapshot = answer.snapshot ?? '';
        log.push(`apply ${snapshot}`);
        return true;
      },
      forget_snapshot: async () => {
        snapshot = '';
        log.push('forget');
      },
    },
    ask: async (request) => {
      asking += 1;
      expect(asking).toBe(1);
      log.push(`ask ${request.snapshot ?? ''}`);
      try {
        return await server(request.snapshot ?? '');
      } finally {
        asking -= 1;
      }
    },
    random: () => 0,
  });
  return {
    loop,
    log,
    move: (to: string) => {
      snapshot = to;
    },
  };
}

describe('the sync loop', () => {
  it('asks until there is no more', async () => {
    const { loop, log } = make((snapshot) => ({ snapshot: `${snapshot}x`, more: snapshot.length < 2 }));
    await loop.ring();
    expect(log).toEqual(['ask ', 'apply x', 'ask x', 'apply xx', 'ask xx', 'apply xxx']);
  });
  it('makes one more run for all rings during a run', async () => {
    const { loop, log } = make(async (snapshot) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return { snapshot: `${snapshot}x` };
    });
    const first = loop.ring();
    void loop.ring();
    void loop.ring();
    await first;
    expect(log.filter((line) => line.startsWith('ask'))).toHaveLength(2);
  });
  it('forgets a refused snapshot and asks without one', async () => {
    const { loop, log, move } = make((snapshot) => {
      if (snapshot === 'bad') throw local_error(111, '');
      return { snapshot: 'good' };
    });
    move('bad');
    await loop.ring();
    expect(log).toEqual(['ask bad', 'forget', 'ask ', 'apply good']);
  });
  it('asks again when another tab moved the snapshot meanwhile', async () => {
    let moved = false;
    const { loop, log, move } = make((snapshot) => {
      if (!moved) {
        moved = true;
        move('other');
      }
      return { snapshot: `${snapshot}+` };
    });
    await loop.ring();
    expect(log).toEqual(['ask ', 'ask other', 'apply other+']);
  });
  it('tries again after a failure of the moment', async () => {
    let failures = 2;
    const { loop, log } = make(() => {
      if (failures-- > 0) throw local_error(4, 'away');
      return { snapshot: 'a' };
    });
    void loop.ring();
    await until(() => log.includes('apply a'));
    expect(log.filter((line) => line === 'ask ')).toHaveLength(3);
  });
  it('gives up when the session has ended, and stops at once when told', async () => {
    const { loop, log } = make(() => {
      throw new RemoteError(6, 3);
    });
    await loop.ring();
    expect(log).toEqual(['ask ']);
    const other = make(() => {
      throw local_error(4, 'away');
    });
    const run = other.loop.ring();
    await until(() => other.log.length > 0);
    other.loop.stop();
    await run;
    expect(other.log).toEqual(['ask ']);
  });
});
