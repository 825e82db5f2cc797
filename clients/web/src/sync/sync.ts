// The one sync loop. Something rang: ask with the stored snapshot, apply the answer, and go on while there is more.
// Promises: runs never overlap; a ring during a run causes another one; what fails for the moment is tried again with
// backoff for as long as the loop is started; a reset or a refused snapshot never deletes local history.
import { Backoff } from '../wire/backoff';
import { k_bad_snapshot, RemoteError } from '../wire/errors';
import type { Request, SyncResponseJson } from '../wire/types';

export interface SyncStore {
  snapshot(): Promise<string>;
  apply_sync(asked_with: string, answer: SyncResponseJson): Promise<boolean>;
  forget_snapshot(): Promise<void>;
}
export interface SyncOptions {
  store: SyncStore;
  ask: (request: Request<'sync'>) => Promise<SyncResponseJson>;
  on_synced?: () => void;
  random?: () => number;
}

export class SyncLoop {
  private wanted = false;
  private running: Promise<void> | null = null;
  private stopped = false;
  private wake: (() => void) | null = null;
  private readonly backoff: Backoff;
  constructor(private readonly options: SyncOptions) {
    this.backoff = new Backoff(500, 20_000, options.random);
  }

  // "There may be something new." Resolves when a run that started after this call has ended.
  ring(): Promise<void> {
    this.wanted = true;
    this.wake?.();
    this.running ??= this.run().finally(() => {
      this.running = null;
    });
    return this.running;
  }
  stop(): void {
    this.stopped = true;
    this.wake?.();
  }

  private async run(): Promise<void> {
    while (this.wanted && !this.stopped) {
      this.wanted = false;
      try {
        while (!this.stopped && (await this.step())) {
          /* more */
        }
        this.backoff.reset();
        if (!this.stopped) this.options.on_synced?.();
      } catch (error) {
        if (error instanceof RemoteError && !error.transient) return; // Logged out, or a server that knows no sync.
        this.wanted = true;
        await this.sleep(this.backoff.next());
      }
    }
  }
  // True: ask again at once.
  private async step(): Promise<boolean> {
    const snapshot = await this.options.store.snapshot();
    let answer: SyncResponseJson;
    try {
      answer = await this.options.ask(snapshot ? { snapshot } : {});
    } catch (error) {
      if (!(error instanceof RemoteError) || error.code !== k_bad_snapshot || snapshot === '') throw error;
      await this.options.store.forget_snapshot();
      return true;
    }
    if (this.stopped) return false;
    const applied = await this.options.store.apply_sync(snapshot, answer);
    return !applied || (answer.more ?? false);
  }
  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.wake = null;
        resolve();
      }, ms);
      this.wake = () => {
        clearTimeout(timer);
        this.wake = null;
        resolve();
      };
    });
  }
}
