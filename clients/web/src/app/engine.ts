// One account in one tab: store, wire, and, while this tab leads, link, sync loop and outbox. The user interface calls
// its methods and hears what changed; it never waits for the network to show what is already here.
import { Outbox } from '../outbox/outbox';
import { k_top, number_of, type Change, type ConvKey, conv_of, type MessageRow, type OutboxRow } from '../store/rows';
import { Store } from '../store/store';
import { SyncLoop } from '../sync/sync';
import { Tabs, type Channel, type Locks } from '../tabs/tabs';
import { random_uuid } from '../wire/bytes';
import { RemoteError } from '../wire/errors';
import type { LinkState } from '../wire/link';
import type { ConversationStateJson, MessageJson, Path, Request, Response, RingJson } from '../wire/types';
import { Wire, type WireOptions } from '../wire/wire';

export type Net = 'offline' | 'connecting' | 'online';
export type TabMessage =
  | { t: 'change'; change: Change }
  | { t: 'outbox' }
  | { t: 'reads' }
  | { t: 'ring' }
  | { t: 'hello' }
  | { t: 'net'; net: Net }
  | { t: 'typing'; conv: ConvKey; actor: string }
  | { t: 'ended' }
  | { t: 'logout' };
export interface EngineEvents {
  change: (change: Change) => void;
  net: (net: Net) => void;
  typing: (conv: ConvKey, actor: string) => void;
  ended: () => void; // The server logged this device out.
  logout: () => void; // The person logged out in another tab.
  synced: () => void;
}
export interface EngineDeps
  extends Omit<WireOptions, 'on_ring' | 'on_up' | 'on_state' | 'on_ended' | 'snapshot' | 'on_quiet'> {
  locks: Locks | null;
  channel: (name: string) => Channel | null;
}
const k_page = 50;
const k_sync_after_send_ms = 200;
const k_typing_every_ms = 4000;
const k_ring_typing = 1;
const k_ring_logged_out = 2;
const k_not_member = 108;

export class Engine {
  readonly wire: Wire;
  store!: Store;
  net: Net = 'connecting';
  private tabs!: Tabs<TabMessage>;
  private sync: SyncLoop | null = null;
  private outbox: Outbox | null = null;
  private stopped = false;
  private sync_timer: ReturnType<typeof setTimeout> | undefined;
  private last_typing = new Map<ConvKey, number>();
  private asked_profiles = new Map<string, number>();
  private asked_groups = new Map<string, number>();
  private flushing_reads: Promise<void> | null = null;

  constructor(
    readonly uin: string,
    private readonly deps: EngineDeps,
    private readonly events: EngineEvents,
  ) {
    this.wire = new Wire({
      ...deps,
      on_ring: (ring) => this.on_ring(ring),
      on_up: () => this.on_up(),
      on_state: (state) => this.on_link(state),
      on_ended: () => this.ended(true),
      snapshot: () => this.store.snapshot(),
      on_quiet: async () => {
        if ((await this.wire.probe(await this.store.snapshot())).entries?.length) void this.sync?.ring();
      },
    });
  }
  async start(): Promise<void> {
    this.store = await Store.open(this.uin, (change) => this.changed(change));
    if (this.stopped) {
      this.store.close();
      return;
    }
    this.tabs = new Tabs<TabMessage>({
      name: `hongyan-lead-${this.uin}`,
      locks: this.deps.locks,
      channel: this.deps.channel(`hongyan-${this.uin}`),
      lead: () => this.lead(),
      unlead: () => this.unlead(),
      hear: (message) => this.hear(message),
    });
    this.tabs.join();
    this.tabs.say({ t: 'hello' });
  }
  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    this.tabs?.leave();
    this.store?.close();
  }
  get leading(): boolean {
    return this.tabs?.leading ?? false;
  }

  // ---- leading
  private lead(): void {
    this.sync = new SyncLoop({
      store: this.store,
      ask: (request) => this.wire.call('sync', request, 30_000),
      on_synced: () => this.events.synced(),
    });
    this.outbox = new Outbox({
      store: this.store,
      send: (messages) => this.send_now(messages),
      on_sent: () => this.sync_soon(),
    });
    this.wire.link.start();
  }
  // The server need not ring the device that sent: its own messages take their places from the next sync.
  private sync_soon(): void {
    clearTimeout(this.sync_timer);
    this.sync_timer = setTimeout(() => void this.sync?.ring(), k_sync_after_send_ms);
  }
  private unlead(): void {
    clearTimeout(this.sync_timer);
    this.wire.link.stop();
    this.sync?.stop();
    this.outbox?.stop();
    this.sync = null;
    this.outbox = null;
  }
  private send_now(messages: MessageJson[]): Promise<Response<'send'>> {
    return this.wire.call('send', { messages }, 30_000);
  }
  private on_up(): void {
    void this.sync?.ring();
    void this.outbox?.up();
    void this.flush_reads();
  }
  private on_link(state: LinkState): void {
    const net: Net =
      state === 'online' || state === 'polling' ? 'online' : navigator_online() ? 'connecting' : 'offline';
    this.set_net(net);
    if (this.leading) this.tabs.say({ t: 'net', net });
  }
  private set_net(net: Net): void {
    if (this.net === net) return;
    this.net = net;
    this.events.net(net);
  }
  private on_ring(ring: RingJson): void {
    if (ring.kind === k_ring_logged_out) {
      void this.wire.renew(this.deps.sessions.load()).catch(() => {});
      return;
    }
    if (ring.kind === k_ring_typing) {
      if (!ring.conversation || !ring.actor || ring.actor === this.uin) return;
      const conv = `${ring.conversation.type ?? 0}:${ring.conversation.id ?? 0}`;
      this.events.typing(conv, ring.actor);
      this.tabs.say({ t: 'typing', conv, actor: ring.actor });
      return;
    }
    void this.sync?.ring();
  }
  private hear(message: TabMessage): void {
    if (this.stopped) return;
    switch (message.t) {
      case 'change':
        this.events.change(message.change);
        break;
      case 'outbox':
        void this.outbox?.pump();
        break;
      case 'reads':
        void this.flush_reads();
        break;
      case 'ring':
        void this.sync?.ring();
        break;
      case 'hello':
        if (this.leading) this.tabs.say({ t: 'net', net: this.net });
        break;
      case 'net':
        if (!this.leading) this.set_net(message.net);
        break;
      case 'typing':
        this.events.typing(message.conv, message.actor);
        break;
      case 'ended':
        this.ended(false);
        break;
      case 'logout':
        this.stop();
        this.events.logout();
        break;
    }
  }
  private changed(change: Change): void {
    if (this.stopped) return;
    this.events.change(change);
    this.tabs.say({ t: 'change', change });
  }
  private ended(tell: boolean): void {
    if (this.stopped) return;
    if (tell) this.tabs?.say({ t: 'ended' });
    this.deps.sessions.clear();
    this.stop();
    this.events.ended();
  }
  // The page became visible or the network came back.
  poke(): void {
    if (this.stopped || !this.tabs) return;
    if (!this.leading) {
      this.tabs.say({ t: 'ring' });
      return;
    }
    if (this.wire.link.ready) void this.sync?.ring();
    else this.wire.link.poke();
    this.on_link(this.wire.link.state);
  }

  // ---- what people do
  call<P extends Path>(path: P, body: Request<P>): Promise<Response<P>> {
    return this.wire.call(path, body);
  }

  async send(
    conv: ConvKey,
    contents: Pick<MessageJson, 'kind' | 'content' | 'digest'>[],
    more: Partial<MessageJson> = {},
  ): Promise<void> {
    const now = Date.now();
    this.last_typing.delete(conv);
    await this.store.add_outbox(
      contents.map((content, index) => {
        const id = random_uuid();
        return {
          id,
          conv,
          state: 'queued' as const,
          created: now + index,
          message: {
            ...more,
            conversation: conv_of(conv),
            clientMsgId: id,
            clientTimeMs: String(now + index),
            ...content,
          },
        };
      }),
    );
    this.wake_outbox();
  }
  // The same content byte for byte, whether this client knows the kind or not.
  forward(conv: ConvKey, message: MessageJson): Promise<void> {
    const { kind, content = '', digest = '', flags, ext } = message;
    return this.send(conv, [{ kind, content, digest }], { ...(flags ? { flags } : {}), ...(ext ? { ext } : {}) });
  }
  async retry(ids: string[]): Promise<void> {
    await this.store.edit_outbox(ids, (row) => {
      const { error, ...rest } = row;
      void error;
      return { ...rest, state: 'queued', created: Date.now() };
    });
    this.wake_outbox();
  }
  discard(id: string): Promise<void> {
    return this.store.edit_outbox([id], () => null);
  }
  private wake_outbox(): void {
    if (this.outbox) void this.outbox.pump();
    else this.tabs.say({ t: 'outbox' });
  }

  async mark_read(conv: ConvKey, position: number): Promise<void> {
    if (!(await this.store.mark_read(conv, position))) return;
    if (this.leading) void this.flush_reads();
    else this.tabs.say({ t: 'reads' });
  }
  private flush_reads(): Promise<void> {
    if (!this.leading || this.net !== 'online') return Promise.resolve();
    this.flushing_reads ??= this.flush_reads_once()
      .catch(() => {})
      .finally(() => {
        this.flushing_reads = null;
      });
    return this.flushing_reads;
  }
  private async flush_reads_once(): Promise<void> {
    for (;;) {
      const row = (await this.store.conversations()).find((one) => one.read_wanted !== undefined);
      if (!row || this.stopped) return;
      const position = row.read_wanted!;
      const done = (): Promise<void> =>
        this.store.update_conversation(row.conv, (now) => {
          if ((now.read_wanted ?? 0) <= position) delete now.read_wanted;
        });
      try {
        const state = (await this.wire.call('read', { conversation: conv_of(row.conv), position: String(position) }))
          .state;
        if (state) await this.put_state(row.conv, state);
        await done();
      } catch (error) {
        if (!(error instanceof RemoteError) || error.transient) return; // The next link-up tries again.
        await done();
      }
    }
  }
  private put_state(conv: ConvKey, state: ConversationStateJson): Promise<void> {
    return this.store.put_state({ ...state, conversation: state.conversation ?? conv_of(conv) });
  }
  async set_conversation(
    conv: ConvKey,
    fields: Omit<Request<'conversation/set'>, 'conversation' | 'fields'>,
  ): Promise<void> {
    const names: Record<string, string> = {
      muteUntilMs: 'mute_until_ms',
      pinRank: 'pin_rank',
      hidden: 'hidden',
      draft: 'draft',
      clearedPosition: 'cleared_position',
    };
    const answer = await this.wire.call('conversation/set', {
      conversation: conv_of(conv),
      ...fields,
      fields: Object.keys(fields).map((key) => names[key]!),
    });
    if (answer.state) await this.put_state(conv, answer.state);
  }

  // The page of messages before `before`. Asks the server where messages are missing here; `complete` is false when it
  // could not be asked, and what is here is given then.
  async older(
    conv: ConvKey,
    before: number,
    limit = k_page,
  ): Promise<{ rows: MessageRow[]; more: boolean; complete: boolean }> {
    let page = await this.store.page(conv, before, limit);
    for (let turns = 0; page.hole > 0 && page.rows.length < limit && turns < 3; turns += 1) {
      try {
        const answer = await this.wire.call('history', {
          conversation: conv_of(conv),
          beforePosition: page.hole === k_top ? '0' : String(page.hole),
          limit,
        });
        await this.store.apply_history(conv, page.hole, answer.messages ?? [], answer.more ?? false);
      } catch {
        const local = await this.store.page(conv, before, limit, true);
        return { rows: local.rows, more: local.rows.length > 0 || page.hole > 0, complete: false };
      }
      page = await this.store.page(conv, before, limit);
    }
    return { rows: page.rows, more: page.hole > 0 || page.rows.length >= limit, complete: true };
  }
  typing(conv: ConvKey): void {
    const now = Date.now();
    if (this.net !== 'online' || now - (this.last_typing.get(conv) ?? 0) < k_typing_every_ms) return;
    this.last_typing.set(conv, now);
    this.wire.call('typing', { conversation: conv_of(conv) }).catch(() => {});
  }

  // ---- people and groups this tab shows
  // A friend's new name is not pushed to all their friends: it is asked for when it is looked at, at most once in
  // `max_age_ms`.
  want_profile(uin: string, max_age_ms = Infinity): void {
    const asked = this.asked_profiles.get(uin);
    if (uin === '0' || !uin || (asked !== undefined && Date.now() - asked < max_age_ms)) return;
    this.asked_profiles.set(uin, Date.now());
    this.wire.call('profile/get', { uin }).then(
      (answer) => answer.profile && this.store.put_profile({ ...answer.profile, uin: answer.profile.uin ?? uin }),
      (error) => {
        if (error instanceof RemoteError && error.transient) this.asked_profiles.delete(uin);
      },
    );
  }
  want_members(id: string, version: number): void {
    if ((this.asked_groups.get(id) ?? -1) >= version) return;
    this.asked_groups.set(id, version);
    this.refresh_group(id).catch((error) => {
      if (!(error instanceof RemoteError)) return;
      if (error.code === k_not_member)
        void this.store.leave_group(id); // Somebody removed me.
      else if (error.transient) this.asked_groups.delete(id);
    });
  }
  async refresh_group(id: string): Promise<void> {
    const { group } = await this.wire.call('group/get', { group: id, members: true });
    if (group) await this.store.put_group({ ...group, id: group.id ?? id, members: group.members ?? [] });
  }

  // Ends the session at the server as far as it can be reached, and forgets everything here.
  async logout(): Promise<void> {
    await Promise.race([
      this.wire.call('logout', {}).catch(() => {}),
      new Promise((resolve) => setTimeout(resolve, 4000)),
    ]);
    this.tabs.say({ t: 'logout' });
    this.stopped = true;
    this.deps.sessions.clear();
    this.tabs.leave();
    await this.store.clear_all();
  }
}

export const navigator_online = (): boolean =>
  typeof navigator === 'undefined' || navigator.onLine === undefined ? true : navigator.onLine;
export type { Change, OutboxRow };
export { number_of };
