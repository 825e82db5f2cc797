// How entries of sync and pages of history become rows. Everything runs inside the caller's transaction.
//
// Which messages are here is written as holes: a hole at p says "below the message at p something may be missing".
// A direct conversation's positions are not dense, so gaps cannot be seen in the numbers. A message that sync brings
// stands directly above what was known, except at the first sync and after a reset or a marker: there the run's lowest
// message of a conversation gets a hole. A page of history closes every hole it spans and leaves one at its lower end,
// unless that message was here already or the beginning is reached.
import type {
  ConversationStateJson,
  EntryJson,
  GroupEventJson,
  MarkerJson,
  MessageJson,
  MessageUpdateJson,
  SyncResponseJson,
} from '../wire/types';
import { conv_key, k_top, new_conv, number_of, type Change, type ConvKey, type ConvRow, type MessageRow } from './rows';
import type { Tx } from './store';

export interface Applied {
  rows: MessageRow[];
  fresh: number;
}
const k_flag_no_unread = 1;
const k_flag_no_list = 4;
const k_counted_max = 1_100; // More is shown as 999+ anyway.

export class Writer {
  private readonly convs = new Map<ConvKey, ConvRow>();
  readonly messages: MessageRow[] = [];
  readonly contacts = new Set<string>();
  readonly groups = new Set<string>();
  readonly outbox = new Set<ConvKey>();
  account = false;
  constructor(
    readonly tx: Tx,
    private readonly uin: string,
  ) {}

  async conv(key: ConvKey): Promise<ConvRow> {
    let row = this.convs.get(key);
    if (!row) {
      row = (await this.tx.objectStore('conversations').get(key)) ?? new_conv(key);
      this.convs.set(key, row);
    }
    return row;
  }
  // Stores a message once. True when it was not here before.
  async put_message(message: MessageJson): Promise<boolean> {
    if (!message.key) return false;
    const conv = conv_key(message.conversation);
    const store = this.tx.objectStore('messages');
    const old = await store.get(message.key);
    if (old && (message.revision ?? 0) < (old.message.revision ?? 0)) return false;
    const row: MessageRow = {
      key: message.key,
      conv,
      pos: number_of(message.position),
      time: number_of(message.serverTimeMs),
      message,
    };
    if (old && (old.message.state ?? 0) > (message.state ?? 0)) return false;
    await store.put(row);
    this.messages.push(row);
    if (message.sender === this.uin && message.clientMsgId) await this.drop_echo(message.clientMsgId);
    return !old;
  }
  private async drop_echo(id: string): Promise<void> {
    const echo = await this.tx.objectStore('outbox').index('id').get(id);
    if (!echo) return;
    await this.tx.objectStore('outbox').delete(echo.n!);
    this.outbox.add(echo.conv);
  }
  // Unread is the server's count at its position, plus what came after it.
  async count_unread(row: ConvRow): Promise<void> {
    const from = Math.max(row.base_last, row.read_position);
    let more = 0;
    const range = IDBKeyRange.bound([row.conv, from], [row.conv, k_top], true);
    for (const found of await this.tx.objectStore('messages').index('order').getAll(range, k_counted_max)) {
      if (found.message.sender !== this.uin && !((found.message.flags ?? 0) & k_flag_no_unread)) more += 1;
    }
    const base = row.read_position >= row.base_last ? 0 : row.base_unread;
    row.unread = base + more;
    if (row.read_position >= row.last_position) {
      row.unread = 0;
      row.mentions = 0;
    }
  }
  async finish(change: Change): Promise<void> {
    for (const row of this.convs.values()) await this.tx.objectStore('conversations').put(row);
    if (this.convs.size > 0) change.convs = [...this.convs.keys()];
    if (this.messages.length > 0) change.messages = this.messages;
    if (this.contacts.size > 0) change.contacts = [...this.contacts];
    if (this.groups.size > 0) change.groups = [...this.groups];
    if (this.outbox.size > 0) change.outbox = [...this.outbox];
    if (this.account) change.account = true;
  }
}

export async function apply_sync(
  tx: Tx,
  change: Change,
  uin: string,
  asked_with: string,
  answer: SyncResponseJson,
): Promise<boolean> {
  const meta = tx.objectStore('meta');
  const stored = ((await meta.get('snapshot')) as string | undefined) ?? '';
  if (stored !== asked_with) return false;
  const writer = new Writer(tx, uin);
  // A run is the answers up to the first without `more`. In a first run, or one with a reset, gaps are possible.
  let gaps = ((await meta.get('gaps')) as boolean | undefined) ?? false;
  if (asked_with === '' || answer.reset) {
    gaps = true;
    for (const row of await tx.objectStore('conversations').getAll()) {
      const mine = await writer.conv(row.conv);
      if (!mine.holes.includes(k_top)) mine.holes.push(k_top);
      delete mine.series;
    }
  }
  const touched = new Set<ConvKey>();
  for (const entry of answer.entries ?? []) await apply_entry(writer, entry, touched, gaps);
  for (const conv of touched) await writer.count_unread(await writer.conv(conv));
  if (!answer.more && gaps) {
    gaps = false;
    for (const row of await tx.objectStore('conversations').getAll()) {
      if (row.series !== undefined) delete (await writer.conv(row.conv)).series;
    }
    for (const conv of touched) delete (await writer.conv(conv)).series;
  }
  await writer.finish(change);
  await meta.put(gaps, 'gaps');
  await meta.put(answer.snapshot ?? '', 'snapshot');
  return true;
}

async function apply_entry(writer: Writer, entry: EntryJson, touched: Set<ConvKey>, gaps: boolean): Promise<void> {
  if (entry.message) touched.add(await apply_message(writer, entry.message, gaps));
  else if (entry.update) await apply_update(writer, entry.update);
  else if (entry.state) touched.add(await apply_state(writer, entry.state));
  else if (entry.marker) touched.add(await apply_marker(writer, entry.marker));
  else if (entry.group) await apply_group(writer, entry.group);
  else if (entry.account) {
    await writer.tx.objectStore('meta').put(entry.account, 'account');
    writer.account = true;
  } else if (entry.contact?.uin) {
    const old = await writer.tx.objectStore('contacts').get(entry.contact.uin);
    if (number_of(old?.contact.version) <= number_of(entry.contact.version)) {
      await writer.tx.objectStore('contacts').put({
        uin: entry.contact.uin,
        contact: { ...entry.contact, profile: entry.contact.profile ?? old?.contact.profile },
      });
    }
    writer.contacts.add(entry.contact.uin);
  } // Anything else is of a newer server: skipped, the snapshot still advances.
}

async function apply_message(writer: Writer, message: MessageJson, gaps: boolean): Promise<ConvKey> {
  const key = conv_key(message.conversation);
  const row = await writer.conv(key);
  const fresh = await writer.put_message(message);
  const position = number_of(message.position);
  if (fresh) note_arrival(row, position, gaps);
  take_last(row, message);
  return key;
}
function note_arrival(row: ConvRow, position: number, gaps: boolean): void {
  if (row.holes.includes(k_top)) {
    row.holes = [...row.holes.filter((hole) => hole !== k_top), position];
    if (gaps) row.series = position;
  } else if (row.series !== undefined && position < row.series) {
    row.holes = [...row.holes.filter((hole) => hole !== row.series), position];
    row.series = position;
  }
}
function take_last(row: ConvRow, message: MessageJson): void {
  const position = number_of(message.position);
  if (position < row.last_position) return;
  row.last_position = position;
  if ((message.flags ?? 0) & k_flag_no_list) return;
  row.last = message;
  row.time = number_of(message.serverTimeMs);
  row.hidden = false;
}
async function apply_update(writer: Writer, update: MessageUpdateJson): Promise<void> {
  if (!update.key) return;
  const old = await writer.tx.objectStore('messages').get(update.key);
  if (!old || (update.revision ?? 0) < (old.message.revision ?? 0)) return;
  const message: MessageJson = { ...old.message, state: update.state ?? 0, revision: update.revision ?? 0 };
  if (update.content !== undefined || update.state) message.content = update.content ?? '';
  if (update.digest !== undefined || update.state) message.digest = update.digest ?? '';
  const row: MessageRow = { ...old, message };
  await writer.tx.objectStore('messages').put(row);
  writer.messages.push(row);
  const conv = await writer.conv(old.conv);
  if (conv.last?.key === update.key) conv.last = message;
}
async function apply_state(writer: Writer, state: ConversationStateJson): Promise<ConvKey> {
  const key = conv_key(state.conversation);
  const row = await writer.conv(key);
  const version = number_of(state.version);
  if (version < row.state_version) return key;
  row.state_version = version;
  row.base_last = number_of(state.lastPosition);
  row.base_unread = state.unread ?? 0;
  row.read_position = number_of(state.readPosition);
  if (row.read_wanted !== undefined) {
    if (row.read_wanted <= row.read_position) delete row.read_wanted;
    else row.read_position = row.read_wanted;
  }
  row.mentions = state.unreadMentions ?? 0;
  row.mute_until = number_of(state.muteUntilMs);
  row.pin = number_of(state.pinRank);
  row.cleared = Math.max(row.cleared, number_of(state.clearedPosition));
  row.server_draft = state.draft ?? '';
  if (state.last) take_last(row, { ...state.last, conversation: state.conversation });
  row.last_position = Math.max(row.last_position, row.base_last);
  row.hidden = (state.hidden ?? false) && row.last_position <= row.base_last;
  if (row.last && number_of(row.last.position) <= row.cleared) delete row.last;
  return key;
}
async function apply_marker(writer: Writer, marker: MarkerJson): Promise<ConvKey> {
  const key = conv_key(marker.conversation);
  const row = await writer.conv(key);
  const up_to = number_of(marker.upTo);
  // What is here decides, not what a state has said: the newest message may be known without those before it.
  const order = writer.tx.objectStore('messages').index('order');
  const newest = await order.openCursor(IDBKeyRange.bound([key, 0], [key, k_top]), 'prev');
  if (up_to > (newest?.value.pos ?? 0) && !row.holes.includes(k_top)) row.holes.push(k_top);
  if (marker.last) take_last(row, { ...marker.last, conversation: marker.conversation });
  row.last_position = Math.max(row.last_position, up_to);
  if (up_to >= row.base_last) {
    row.base_last = up_to;
    row.base_unread = marker.unread ?? 0;
    row.mentions = marker.unreadMentions ?? 0;
  }
  return key;
}
async function apply_group(writer: Writer, event: GroupEventJson): Promise<void> {
  const id = event.group ?? event.state?.id;
  if (!id) return;
  const version = number_of(event.state?.version ?? event.version);
  const old = await writer.tx.objectStore('groups').get(id);
  if (old && old.version > version) return;
  const group = { ...event.state, id, members: event.state?.members ?? old?.group.members };
  await writer.tx
    .objectStore('groups')
    .put({ id, group, version, members_version: event.state?.members ? version : (old?.members_version ?? 0) });
  writer.groups.add(id);
  const key = conv_key({ type: 2, id });
  const row = await writer.conv(key);
  if (row.time === 0) row.time = Date.now();
}

// Marks as read here at once; the server is told by whoever leads.
export async function apply_read(
  tx: Tx,
  change: Change,
  uin: string,
  conv: ConvKey,
  position: number,
): Promise<boolean> {
  const writer = new Writer(tx, uin);
  const row = await writer.conv(conv);
  if (position <= row.read_position && row.unread === 0) return false;
  row.read_position = Math.max(row.read_position, position);
  row.read_wanted = row.read_position;
  await writer.count_unread(row);
  await writer.finish(change);
  return true;
}
export async function apply_answered_state(
  tx: Tx,
  change: Change,
  uin: string,
  state: ConversationStateJson,
): Promise<void> {
  const writer = new Writer(tx, uin);
  await writer.count_unread(await writer.conv(await apply_state(writer, state)));
  await writer.finish(change);
}

// One page: the messages directly before `before` (k_top: the newest), in any order. Always closes the holes it spans.
export async function apply_history(
  tx: Tx,
  change: Change,
  uin: string,
  conv: ConvKey,
  before: number,
  messages: MessageJson[],
  more: boolean,
): Promise<Applied> {
  const writer = new Writer(tx, uin);
  const row = await writer.conv(conv);
  const store = tx.objectStore('messages');
  let lowest = before;
  let lowest_known = false;
  let fresh = 0;
  for (const message of messages) {
    const position = number_of(message.position);
    const known = message.key ? (await store.get(message.key)) !== undefined : false;
    if (position < lowest) {
      lowest = position;
      lowest_known = known;
    }
    if (await writer.put_message(message)) fresh += 1;
    take_last(row, message);
  }
  const at_start = !more || messages.length === 0;
  row.holes = row.holes.filter((hole) => hole > before || (!at_start && hole <= lowest));
  if (at_start) row.holes = row.holes.filter((hole) => hole > before);
  else if (!lowest_known && !row.holes.includes(lowest)) row.holes.push(lowest);
  await writer.count_unread(row);
  await writer.finish(change);
  return { rows: writer.messages, fresh };
}
