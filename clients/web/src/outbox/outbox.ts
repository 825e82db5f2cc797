// Sends what the person wrote. Promises: messages of one conversation arrive in the order they were written: one
// request in flight per conversation, up to 16 messages in it; each is sent again with the same client_msg_id until it
// is answered, for 7 days, then the person is asked; a message that is refused for good does not hold up the next.
// Only the leading tab runs this. The row goes when sync brings the message.
import { Backoff } from '../wire/backoff';
import { class_of, k_class, RemoteError } from '../wire/errors';
import type { SendResponseJson, SentJson } from '../wire/types';
import type { MessageJson } from '../wire/types';
import type { ConvKey, OutboxRow } from '../store/rows';

export const k_batch_max = 16;
export const k_resend_ms = 7 * 24 * 3600 * 1000;
const k_parallel_max = 8; // Conversations at once.
const k_batch_bytes = 400 * 1024; // Of the server's 1 MiB a request, in base64.

export interface OutboxStore {
  outbox(): Promise<OutboxRow[]>;
  edit_outbox(ids: string[], edit: (row: OutboxRow) => OutboxRow | null): Promise<void>;
}
export interface OutboxOptions {
  store: OutboxStore;
  send: (messages: MessageJson[]) => Promise<SendResponseJson>;
  on_sent?: () => void; // Something was acknowledged.
  now?: () => number;
  random?: () => number;
}

export class Outbox {
  private stopped = false;
  private readonly busy = new Set<ConvKey>();
  private readonly left_out = new Set<ConvKey>();
  private readonly resting = new Map<ConvKey, { backoff: Backoff; timer?: ReturnType<typeof setTimeout> }>();
  private readonly now: () => number;
  constructor(private readonly options: OutboxOptions) {
    this.now = options.now ?? Date.now;
  }

  stop(): void {
    this.stopped = true;
    for (const rest of this.resting.values()) clearTimeout(rest.timer);
  }
  // The link is up: what rests is tried now.
  async up(): Promise<void> {
    for (const rest of this.resting.values()) clearTimeout(rest.timer);
    this.resting.clear();
    await this.pump();
  }
  // Starts a request for each conversation that has something to send and none in flight.
  async pump(): Promise<void> {
    if (this.stopped) return;
    const busy_before = new Set(this.busy); // Their rows may change while these are read.
    const rows = (await this.options.store.outbox()).sort((a, b) => (a.n ?? 0) - (b.n ?? 0));
    const by_conv = new Map<ConvKey, OutboxRow[]>();
    for (const row of rows) {
      if (row.state !== 'queued' && row.state !== 'sending') continue;
      const list = by_conv.get(row.conv);
      if (list) list.push(row);
      else by_conv.set(row.conv, [row]);
    }
    const work: Promise<void>[] = [];
    for (const [conv, list] of by_conv) {
      if (this.busy.size >= k_parallel_max) break; // Whoever ends pumps again.
      if (this.resting.get(conv)?.timer) continue;
      if (busy_before.has(conv) || this.busy.has(conv)) {
        this.left_out.add(conv);
        continue;
      }
      this.busy.add(conv);
      work.push(this.send(conv, list));
    }
    await Promise.all(work);
  }

  private async send(conv: ConvKey, list: OutboxRow[]): Promise<void> {
    let again = false;
    try {
      again = await this.send_batch(conv, list);
    } finally {
      this.busy.delete(conv);
      // A pump that ran meanwhile left this conversation out.
      again = again || this.left_out.delete(conv);
    }
    if (again) await this.pump();
  }
  // True: look at once whether there is more.
  private async send_batch(conv: ConvKey, list: OutboxRow[]): Promise<boolean> {
    const { store } = this.options;
    const old = list.filter((row) => this.now() - row.created > k_resend_ms).map((row) => row.id);
    if (old.length > 0) await store.edit_outbox(old, (row) => ({ ...row, state: 'failed', error: 0 }));
    const batch = batch_of(list.filter((row) => !old.includes(row.id)));
    if (batch.length === 0) return old.length > 0;
    const ids = batch.map((row) => row.id);
    await store.edit_outbox(ids, (row) => (row.state === 'queued' ? { ...row, state: 'sending' } : row));
    let sent: SentJson[] = [];
    let failure: RemoteError | null = null;
    try {
      sent = (await this.options.send(batch.map((row) => row.message))).sent ?? [];
    } catch (error) {
      if (!(error instanceof RemoteError)) throw error;
      failure = error;
      sent = (error.response as SendResponseJson | undefined)?.sent ?? [];
    }
    if (this.stopped) return false;
    const done = sent.filter((one) => (one.code ?? 0) === 0);
    const times = new Map(done.map((one) => [one.clientMsgId ?? '', Number(one.serverTimeMs ?? 0)]));
    if (done.length > 0) {
      await store.edit_outbox([...times.keys()], (row) => ({ ...row, state: 'sent', sent_time: times.get(row.id) }));
      this.options.on_sent?.();
    }
    const refused = sent.find((one) => (one.code ?? 0) !== 0);
    const code = refused?.code ?? failure?.code ?? 0;
    const culprit = refused?.clientMsgId ?? ids[done.length];
    if (code !== 0 && culprit !== undefined) {
      const error_class = failure && failure.code === code ? failure.error_class : class_of(code);
      if (error_class === k_class.give_up || error_class === k_class.bug) {
        await store.edit_outbox([culprit], (row) => ({ ...row, state: 'failed', error: code }));
        return true;
      }
      if (error_class === k_class.login) return false; // The session ended; the rows wait for the next login.
      this.rest(conv, failure?.retry_after_ms ?? 0);
      return false;
    }
    // An answer without an error that says nothing about any message would be asked for ever: rest instead.
    if (done.length === 0) {
      this.rest(conv, 0);
      return false;
    }
    this.resting.delete(conv);
    return true;
  }
  private rest(conv: ConvKey, at_least_ms: number): void {
    const rest = this.resting.get(conv) ?? { backoff: new Backoff(1000, 60_000, this.options.random) };
    rest.timer = setTimeout(
      () => {
        delete rest.timer;
        void this.pump();
      },
      Math.max(at_least_ms, rest.backoff.next()),
    );
    this.resting.set(conv, rest);
  }
}

function batch_of(rows: OutboxRow[]): OutboxRow[] {
  const batch: OutboxRow[] = [];
  let bytes = 0;
  for (const row of rows) {
    bytes += (row.message.content?.length ?? 0) + 1024;
    if (batch.length > 0 && (batch.length >= k_batch_max || bytes > k_batch_bytes)) break;
    batch.push(row);
  }
  return batch;
}
