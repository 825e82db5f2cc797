// The open conversation: the loaded window of its messages, newest at the end, and what is still being sent.
import { number_of, k_top, type Change, type ConvKey, type MessageRow, type OutboxRow } from '../store/rows';
import type { Model } from './model.svelte';

const k_grouped_ms = 5 * 60 * 1000;

export interface Item {
  key: string;
  row?: MessageRow;
  pending?: OutboxRow;
  mine: boolean;
  sender: string;
  time: number;
  day: boolean; // A day begins here.
  first: boolean; // First and last of a run of bubbles.
  last: boolean;
  unread: boolean; // The line "new messages" stands above.
}

export class Chat {
  rows = $state.raw<MessageRow[]>([]);
  more = $state(true);
  loading = $state(false);
  incomplete = $state(false); // The server could not be asked for older messages.
  opened = $state(false);
  prepending = $state(false); // For the virtual list: items are being added at the start.
  unread_after = $state(0); // Read position when the chat was opened.
  private unlisten: () => void;
  private closed = false;
  private filling = false;

  constructor(
    private readonly model: Model,
    readonly conv: ConvKey,
  ) {
    this.unread_after = model.convs.get(conv)?.unread ? model.convs.get(conv)!.read_position : 0;
    this.unlisten = model.listen((change) => this.take(change));
    void this.open();
  }
  readonly items = $derived.by(() => this.make_items(this.rows, this.model.pending.get(this.conv) ?? []));

  close(): void {
    this.closed = true;
    this.unlisten();
  }

  private async open(): Promise<void> {
    const { store } = this.model.engine;
    // What is here is shown at once, whether it is complete or not.
    const local = await store.page(this.conv, k_top, 50, true);
    if (this.closed) return;
    this.rows = local.rows;
    if (local.rows.length > 0) this.opened = true;
    await this.load_newest();
    this.opened = true;
    await this.fill_gap();
  }
  private async load_newest(): Promise<void> {
    this.loading = true;
    const page = await this.model.engine.older(this.conv, k_top);
    if (this.closed) return;
    this.loading = false;
    this.incomplete = !page.complete;
    this.more = page.more;
    if (page.complete)
      this.rows = merge(
        page.rows,
        this.rows.filter((row) => row.pos >= (page.rows[0]?.pos ?? k_top)),
      );
  }
  // A marker says that there is more, without the rows: they are asked for while the chat is open.
  private async fill_gap(): Promise<void> {
    if (!this.opened || this.loading || this.filling) return;
    const row = await this.model.engine.store.conversation(this.conv);
    const lowest = this.rows[0]?.pos ?? 0;
    if (this.closed || this.filling || !row?.holes.some((hole) => hole > lowest && hole > row.cleared)) return;
    this.filling = true;
    const page = await this.model.engine.older(this.conv, k_top);
    this.filling = false;
    if (this.closed) return;
    if (!page.complete) {
      this.incomplete = true; // Asked for again when the link is back.
      return;
    }
    const joins = this.rows.some((one) => one.pos >= (page.rows[0]?.pos ?? k_top));
    this.rows = joins ? merge(this.rows, page.rows) : page.rows;
    if (!joins) this.more = page.more;
    const newer = await this.model.engine.store.conversation(this.conv);
    if (newer?.holes.includes(k_top)) void this.fill_gap(); // Another marker came meanwhile.
  }
  async load_older(): Promise<void> {
    if (this.loading || !this.more || !this.opened) return;
    const before = this.rows[0]?.pos;
    if (before === undefined) return;
    this.loading = true;
    const page = await this.model.engine.older(this.conv, before);
    if (this.closed) return;
    this.incomplete = !page.complete;
    this.more = page.more;
    if (page.rows.length > 0) {
      this.prepending = true;
      this.rows = merge(page.rows, this.rows);
    }
    this.loading = false;
  }
  // The link is back: what could not be asked for is asked now.
  retry_incomplete(): void {
    if (this.incomplete && !this.loading) void this.load_newest();
  }
  private take(change: Change): void {
    if (change.convs?.includes(this.conv)) void this.fill_gap();
    const cleared = this.model.convs.get(this.conv)?.cleared ?? 0;
    const mine = (change.messages ?? []).filter((row) => row.conv === this.conv && row.pos > cleared);
    const lowest = this.rows[0]?.pos ?? 0;
    // Older pages come through load_older; here only what belongs into or after the window.
    const fitting =
      this.loading && !this.prepending
        ? mine.filter((row) => row.pos >= lowest)
        : mine.filter((row) => row.pos >= lowest);
    if (fitting.length > 0) {
      this.prepending = false;
      this.rows = merge(this.rows, fitting);
    }
    if (cleared > 0 && this.rows.some((row) => row.pos <= cleared))
      this.rows = this.rows.filter((row) => row.pos > cleared);
  }
  get newest_position(): number {
    return Math.max(this.rows.at(-1)?.pos ?? 0, this.model.convs.get(this.conv)?.last_position ?? 0);
  }
  private make_items(rows: MessageRow[], pending: OutboxRow[]): Item[] {
    const items: Item[] = [];
    const here = new Set(rows.map((row) => (row.message.sender === this.model.uin ? row.message.clientMsgId : '')));
    for (const row of rows) {
      if (row.message.flags && row.message.flags & 16) continue;
      items.push({
        key: row.message.clientMsgId && row.message.sender === this.model.uin ? `c${row.message.clientMsgId}` : row.key,
        row,
        mine: row.message.sender === this.model.uin,
        sender: row.message.sender ?? '0',
        time: row.time,
        day: false,
        first: true,
        last: true,
        unread: false,
      });
    }
    for (const row of pending) {
      if (here.has(row.id)) continue;
      items.push({
        key: `c${row.id}`,
        pending: row,
        mine: true,
        sender: this.model.uin,
        time: row.sent_time || row.created,
        day: false,
        first: true,
        last: true,
        unread: false,
      });
    }
    let marked = false;
    for (let i = 0; i < items.length; i += 1) {
      const item = items[i]!;
      const before = items[i - 1];
      item.day = !before || new Date(before.time).toDateString() !== new Date(item.time).toDateString();
      if (!marked && this.unread_after > 0 && item.row && item.row.pos > this.unread_after && !item.mine && i > 0) {
        item.unread = marked = true;
      }
      const joined =
        before !== undefined &&
        !item.day &&
        !item.unread &&
        before.sender === item.sender &&
        item.time - before.time < k_grouped_ms &&
        before.row?.message.kind !== 2 &&
        item.row?.message.kind !== 2;
      item.first = !joined;
      if (joined) before.last = false;
    }
    return items;
  }
}
function merge(a: MessageRow[], b: MessageRow[]): MessageRow[] {
  const by_key = new Map<string, MessageRow>();
  for (const row of a) by_key.set(row.key, row);
  for (const row of b) by_key.set(row.key, row);
  return [...by_key.values()].sort((x, y) => x.pos - y.pos || (x.key < y.key ? -1 : 1));
}
export { number_of };
