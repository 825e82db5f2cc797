// The tabs of one account in one browser profile. One of them leads: it holds the link, syncs and sends. The others
// read the same IndexedDB and hear on a channel what changed. The browser gives the lock to the next tab the moment
// the leader closes, crashes or leaves, so there is no election and no timeout here.
export interface Locks {
  // Runs `work` while the lock is held; waits for it before. The signal gives up waiting.
  request(name: string, options: { signal: AbortSignal }, work: () => Promise<void>): Promise<unknown>;
}
export interface Channel {
  postMessage(message: unknown): void;
  onmessage: ((event: { data: any }) => void) | null;
  close(): void;
}
export interface TabsOptions<T> {
  name: string;
  locks: Locks | null; // Null: no Web Locks here (not a secure context); every tab leads itself.
  channel: Channel | null;
  lead: () => void; // This tab leads from now on.
  unlead: () => void; // It does not any more (leaving).
  hear: (message: T) => void; // What another tab said.
}

export class Tabs<T> {
  leading = false;
  private release: (() => void) | null = null;
  private readonly waiting = new AbortController();
  private left = false;
  constructor(private readonly options: TabsOptions<T>) {
    if (options.channel)
      options.channel.onmessage = (event) => {
        if (!this.left) options.hear(event.data as T);
      };
  }
  join(): void {
    if (!this.options.locks) {
      this.take();
      return;
    }
    this.options.locks
      .request(
        this.options.name,
        { signal: this.waiting.signal },
        () =>
          new Promise<void>((resolve) => {
            if (this.left) {
              resolve();
              return;
            }
            this.release = resolve;
            this.take();
          }),
      )
      .catch(() => {
        /* Left while waiting. */
      });
  }
  // To the other tabs; this one is not told.
  say(message: T): void {
    if (!this.left) this.options.channel?.postMessage(message);
  }
  leave(): void {
    if (this.left) return;
    if (this.leading) {
      this.leading = false;
      this.options.unlead();
    }
    this.left = true;
    this.waiting.abort();
    this.release?.();
    this.options.channel?.close();
  }
  private take(): void {
    this.leading = true;
    this.options.lead();
  }
}
