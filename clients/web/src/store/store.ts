// The local store of one account in IndexedDB. Promises: a sync answer and the snapshot that acknowledges it are
// written in one transaction, and only if the stored snapshot is still the one the answer was asked with, so a crash
// or a second tab neither skips nor repeats anything; nothing here deletes messages except clear_all and a person who
// clears a chat; a message of mine replaces its local echo in the transaction that brings it.
import { deleteDB, openDB, type DBSchema, type IDBPDatabase, type IDBPTransaction } from 'idb';
import type {
  AccountJson,
  ContactJson,
  ConversationStateJson,
  GroupJson,
  MessageJson,
  ProfileJson,
  SyncResponseJson,
} from '../wire/types';
import { apply_answered_state, apply_history, apply_read, apply_sync, type Applied } from './apply';
import {
  conv_key,
  new_conv,
  number_of,
  type Change,
  type ConvKey,
  type ConvRow,
  type ContactRow,
  type DraftRow,
  type GroupRow,
  type MessageRow,
  type OutboxRow,
  type ProfileRow,
} from './rows';

export interface Schema extends DBSchema {
  meta: { key: string; value: unknown };
  contacts: { key: string; value: ContactRow };
  profiles: { key: string; value: ProfileRow };
  groups: { key: string; value: GroupRow };
  conversations: { key: string; value: ConvRow };
  messages: { key: string; value: MessageRow; indexes: { order: [string, number] } };
  outbox: { key: number; value: OutboxRow; indexes: { id: string; conv: [string, number] } };
  drafts: { key: string; value: DraftRow };
}
export const k_stores = [
  'meta',
  'contacts',
  'profiles',
  'groups',
  'conversations',
  'messages',
  'outbox',
  'drafts',
] as const;
export type Db = IDBPDatabase<Schema>;
export type Tx = IDBPTransaction<Schema, (typeof k_stores)[number][], 'readwrite'>;

const k_schema_version = 1;
const database_name = (uin: string): string => `hongyan-${uin}`;

export class Store {
  private constructor(
    readonly uin: string,
    private readonly db: Db,
    private readonly tell: (change: Change) => void,
  ) {}

  static async open(uin: string, tell: (change: Change) => void): Promise<Store> {
    const db = await openDB<Schema>(database_name(uin), k_schema_version, {
      upgrade(fresh) {
        fresh.createObjectStore('meta');
        fresh.createObjectStore('contacts', { keyPath: 'uin' });
        fresh.createObjectStore('profiles', { keyPath: 'uin' });
        fresh.createObjectStore('groups', { keyPath: 'id' });
        fresh.createObjectStore('conversations', { keyPath: 'conv' });
        fresh.createObjectStore('messages', { keyPath: 'key' }).createIndex('order', ['conv', 'pos']);
        const outbox = fresh.createObjectStore('outbox', { keyPath: 'n', autoIncrement: true });
        outbox.createIndex('id', 'id', { unique: true });
        outbox.createIndex('conv', ['conv', 'n']);
        fresh.createObjectStore('drafts', { keyPath: 'conv' });
      },
      blocking(_old, _blocked, event) {
        (event.target as IDBDatabase).close();
      },
    });
    return new Store(uin, db, tell);
  }
  close(): void {
    this.db.close();
  }
  // Everything of this account in this browser, after the person said so.
  async clear_all(): Promise<void> {
    this.db.close();
    await deleteDB(database_name(this.uin));
  }

  // One transaction over everything; what it changed is told when it is durable.
  private async write<T>(
    work: (tx: Tx, change: Change) => Promise<T>,
    durability: IDBTransactionDurability = 'default',
  ): Promise<T> {
    const change: Change = {};
    const tx = this.db.transaction([...k_stores], 'readwrite', { durability });
    let result: T;
    try {
      result = await work(tx, change);
    } catch (error) {
      try {
        tx.abort();
      } catch {
        /* Already over. */
      }
      await tx.done.catch(() => {});
      throw error;
    }
    await tx.done;
    if (Object.keys(change).length > 0) this.tell(change);
    return result;
  }

  // ---- sync
  async snapshot(): Promise<string> {
    return ((await this.db.get('meta', 'snapshot')) as string | undefined) ?? '';
  }
  // False: another tab has moved on meanwhile; the answer is dropped.
  apply_sync(asked_with: string, answer: SyncResponseJson): Promise<boolean> {
    return this.write((tx, change) => apply_sync(tx, change, this.uin, asked_with, answer));
  }
  // The server does not know the snapshot (any more): start again without one, keeping everything.
  forget_snapshot(): Promise<void> {
    return this.write(async (tx) => {
      await tx.objectStore('meta').put('', 'snapshot');
    });
  }
  apply_history(conv: ConvKey, before: number, messages: MessageJson[], more: boolean): Promise<Applied> {
    return this.write((tx, change) => apply_history(tx, change, this.uin, conv, before, messages, more));
  }

  // ---- reading
  async account(): Promise<AccountJson | undefined> {
    return (await this.db.get('meta', 'account')) as AccountJson | undefined;
  }
  contacts(): Promise<ContactRow[]> {
    return this.db.getAll('contacts');
  }
  contact(uin: string): Promise<ContactRow | undefined> {
    return this.db.get('contacts', uin);
  }
  groups(): Promise<GroupRow[]> {
    return this.db.getAll('groups');
  }
  group(id: string): Promise<GroupRow | undefined> {
    return this.db.get('groups', id);
  }
  profiles(): Promise<ProfileRow[]> {
    return this.db.getAll('profiles');
  }
  profile(uin: string): Promise<ProfileRow | undefined> {
    return this.db.get('profiles', uin);
  }
  conversations(): Promise<ConvRow[]> {
    return this.db.getAll('conversations');
  }
  conversation(conv: ConvKey): Promise<ConvRow | undefined> {
    return this.db.get('conversations', conv);
  }
  drafts(): Promise<DraftRow[]> {
    return this.db.getAll('drafts');
  }
  draft(conv: ConvKey): Promise<DraftRow | undefined> {
    return this.db.get('drafts', conv);
  }
  outbox(): Promise<OutboxRow[]> {
    return this.db.getAll('outbox');
  }
  outbox_of(conv: ConvKey): Promise<OutboxRow[]> {
    return this.db.getAllFromIndex('outbox', 'conv', IDBKeyRange.bound([conv, 0], [conv, Number.MAX_SAFE_INTEGER]));
  }
  // Up to `limit` messages before position `before`, oldest first, ending at the first hole. `hole` is the position
  // below which the server must be asked, 0 when the beginning is known. `across` looks behind holes: offline, some
  // old messages are better than none.
  async page(
    conv: ConvKey,
    before: number,
    limit: number,
    across = false,
  ): Promise<{ rows: MessageRow[]; hole: number }> {
    const tx = this.db.transaction(['conversations', 'messages'], 'readonly');
    const row = await tx.objectStore('conversations').get(conv);
    const holes = row?.holes ?? [before];
    const floor = Math.max(0, ...holes.filter((hole) => hole <= before));
    const rows: MessageRow[] = [];
    if (floor < before || across) {
      const lowest = Math.max(across ? 0 : floor, (row?.cleared ?? 0) + 1);
      if (lowest < before) {
        const range = IDBKeyRange.bound([conv, lowest], [conv, before], false, true);
        let cursor = await tx.objectStore('messages').index('order').openCursor(range, 'prev');
        while (cursor && rows.length < limit) {
          rows.push(cursor.value);
          cursor = await cursor.continue();
        }
      }
    }
    await tx.done;
    rows.reverse();
    return { rows, hole: floor <= (row?.cleared ?? 0) ? 0 : floor };
  }
  async newest_messages(limit: number): Promise<MessageRow[]> {
    const rows: MessageRow[] = [];
    let cursor = await this.db.transaction('messages').store.openCursor(null, 'prev');
    while (cursor && rows.length < limit) {
      rows.push(cursor.value);
      cursor = await cursor.continue();
    }
    return rows;
  }

  // ---- what the server answered to a command; sync brings the same again
  put_account(account: AccountJson): Promise<void> {
    return this.write(async (tx, change) => {
      const old = (await tx.objectStore('meta').get('account')) as AccountJson | undefined;
      if (number_of(old?.version) > number_of(account.version)) return;
      await tx.objectStore('meta').put(account, 'account');
      change.account = true;
    });
  }
  put_contact(contact: ContactJson): Promise<void> {
    return this.write(async (tx, change) => {
      if (!contact.uin) return;
      const old = await tx.objectStore('contacts').get(contact.uin);
      if (number_of(old?.contact.version) > number_of(contact.version)) return;
      await tx
        .objectStore('contacts')
        .put({ uin: contact.uin, contact: { ...contact, profile: contact.profile ?? old?.contact.profile } });
      change.contacts = [contact.uin];
    });
  }
  // With members when they were asked for; members that are known stay while the group did not change.
  put_group(group: GroupJson): Promise<void> {
    return this.write(async (tx, change) => {
      if (!group.id) return;
      const old = await tx.objectStore('groups').get(group.id);
      const version = number_of(group.version);
      if (old && old.version > version) return;
      const members = group.members ?? old?.group.members;
      await tx.objectStore('groups').put({
        id: group.id,
        group: { ...group, members },
        version,
        members_version: group.members ? version : (old?.members_version ?? 0),
      });
      change.groups = [group.id];
      const profiles: string[] = [];
      for (const member of group.members ?? []) {
        if (!member.profile || !member.uin) continue;
        await tx.objectStore('profiles').put({ uin: member.uin, profile: member.profile, fetched: Date.now() });
        profiles.push(member.uin);
      }
      if (profiles.length > 0) change.profiles = profiles;
      // A group is in the list from its first moment, also before anybody spoke.
      const conv = conv_key({ type: 2, id: group.id });
      if (!(await tx.objectStore('conversations').get(conv))) {
        await tx.objectStore('conversations').put({ ...new_conv(conv), time: Date.now() });
        change.convs = [conv];
      }
    });
  }
  leave_group(id: string): Promise<void> {
    return this.write(async (tx, change) => {
      const old = await tx.objectStore('groups').get(id);
      if (!old) return;
      await tx.objectStore('groups').put({ ...old, left: true });
      change.groups = [id];
    });
  }
  put_profile(profile: ProfileJson): Promise<void> {
    return this.write(async (tx, change) => {
      if (!profile.uin) return;
      const old = await tx.objectStore('profiles').get(profile.uin);
      if (number_of(old?.profile.version) > number_of(profile.version)) return;
      await tx.objectStore('profiles').put({ uin: profile.uin, profile, fetched: Date.now() });
      change.profiles = [profile.uin];
    });
  }
  update_conversation(conv: ConvKey, edit: (row: ConvRow) => void): Promise<void> {
    return this.write(async (tx, change) => {
      const row = (await tx.objectStore('conversations').get(conv)) ?? new_conv(conv);
      edit(row);
      await tx.objectStore('conversations').put(row);
      change.convs = [conv];
    });
  }
  // False: it was read already.
  mark_read(conv: ConvKey, position: number): Promise<boolean> {
    return this.write((tx, change) => apply_read(tx, change, this.uin, conv, position));
  }
  put_state(state: ConversationStateJson): Promise<void> {
    return this.write((tx, change) => apply_answered_state(tx, change, this.uin, state));
  }
  // Forgets the messages up to `position` here; the server keeps its copy until its own cleared mark is set.
  clear_messages(conv: ConvKey, position: number): Promise<void> {
    return this.write(async (tx, change) => {
      const row = await tx.objectStore('conversations').get(conv);
      if (!row) return;
      let cursor = await tx
        .objectStore('messages')
        .index('order')
        .openCursor(IDBKeyRange.bound([conv, 0], [conv, position]));
      while (cursor) {
        await cursor.delete();
        cursor = await cursor.continue();
      }
      row.cleared = Math.max(row.cleared, position);
      if (row.last && number_of(row.last.position) <= position) delete row.last;
      await tx.objectStore('conversations').put(row);
      change.convs = [conv];
    });
  }
  set_draft(conv: ConvKey, text: string): Promise<void> {
    return this.write(async (tx, change) => {
      if (text) await tx.objectStore('drafts').put({ conv, text, time: Date.now() });
      else await tx.objectStore('drafts').delete(conv);
      change.drafts = [conv];
    });
  }

  // ---- outbox
  // What a person wrote goes to the disk before it is shown as being sent; the draft it was goes with it.
  add_outbox(rows: OutboxRow[]): Promise<void> {
    return this.write(async (tx, change) => {
      const convs = [...new Set(rows.map((row) => row.conv))];
      for (const row of rows) await tx.objectStore('outbox').add(row);
      for (const conv of convs) await tx.objectStore('drafts').delete(conv);
      change.outbox = convs;
      change.drafts = convs;
    }, 'strict');
  }
  // Changes the rows with these ids, as far as they still are there: one that sync has brought is gone for good.
  edit_outbox(ids: string[], edit: (row: OutboxRow) => OutboxRow | null): Promise<void> {
    return this.write(async (tx, change) => {
      const convs = new Set<ConvKey>();
      const store = tx.objectStore('outbox');
      for (const id of ids) {
        const row = await store.index('id').get(id);
        if (!row) continue;
        const next = edit({ ...row });
        if (next) await store.put(next);
        else await store.delete(row.n!);
        convs.add(row.conv);
      }
      if (convs.size > 0) change.outbox = [...convs];
    });
  }
}
