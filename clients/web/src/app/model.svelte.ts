// What the components show: the account's rows as reactive maps, the route, settings. It reads the store and hears
// changes from the engine; components call the engine to change anything.
import { SvelteMap } from 'svelte/reactivity';
import type { AccountJson, ContactJson, ProfileJson } from '../wire/types';
import type { Change, ConvKey, ConvRow, GroupRow, MessageRow, OutboxRow } from '../store/rows';
import { conv_of, k_direct, k_group, number_of } from '../store/rows';
import { from_base64, to_base64 } from '../wire/bytes';
import { SessionKeeper } from '../wire/session';
import { Wire } from '../wire/wire';
import { Engine, type EngineDeps, type Net } from './engine';
import { explain } from './explain';
import { t, settings } from './i18n.svelte';
import { system_text } from './system';
import { k_system, system_of } from './text';
import { engine_deps } from './browser';
import { notify } from './notify';

export type Section = 'chats' | 'contacts' | 'settings';
export interface Route {
  section: Section;
  item: string;
}
export const k_edge = { none: 0, friend: 1, asked: 2, asks_me: 3, stranger: 4 } as const;
const k_system_uin = '1000';
const k_type_system = 4;
const k_typing_ms = 6000;
const k_news_ms = 5 * 60_000;
const k_flags_silent = 1 | 2 | 16; // no_unread, no_push, transient

function route_of(hash: string): Route {
  const [, section = 'chats', ...rest] = hash.replace(/^#/, '').split('/');
  return {
    section: section === 'contacts' || section === 'settings' ? section : 'chats',
    item: decodeURIComponent(rest.join('/')),
  };
}

export class Model {
  phase = $state<'loading' | 'auth' | 'ready'>('loading');
  notice = $state(''); // Why the login page is shown.
  net = $state<Net>('connecting');
  synced = $state(false);
  account = $state.raw<AccountJson | undefined>();
  route = $state.raw<Route>(route_of(location.hash));
  readonly contacts = new SvelteMap<string, ContactJson>();
  readonly groups = new SvelteMap<string, GroupRow>();
  readonly profiles = new SvelteMap<string, ProfileJson>();
  readonly convs = new SvelteMap<ConvKey, ConvRow>();
  readonly drafts = new SvelteMap<ConvKey, string>();
  readonly pending = new SvelteMap<ConvKey, OutboxRow[]>();
  readonly typing = new SvelteMap<ConvKey, string>();
  readonly toasts = $state<{ id: number; text: string; kind: 'info' | 'error' }[]>([]);
  readonly sessions = new SessionKeeper(localStorage);
  engine!: Engine;
  uin = '';
  private readonly deps: EngineDeps;
  private readonly listeners = new Set<(change: Change) => void>();
  private readonly typing_timers = new Map<ConvKey, ReturnType<typeof setTimeout>>();
  private next_toast = 1;

  // Chats in list order: pinned first, then by the last change.
  readonly chats = $derived.by(() => {
    const rows = [...this.convs.values()].filter((row) => this.is_listed(row));
    const at = (row: ConvRow): number => Math.max(row.time, this.pending.get(row.conv)?.at(-1)?.created ?? 0);
    return rows.sort((a, b) => b.pin - a.pin || at(b) - at(a) || (a.conv < b.conv ? -1 : 1));
  });
  readonly friends = $derived.by(() =>
    [...this.contacts.values()]
      .filter((contact) => contact.state === k_edge.friend)
      .sort((a, b) => this.name_of(a.uin!).localeCompare(this.name_of(b.uin!), settings.language)),
  );
  readonly requests = $derived.by(() =>
    [...this.contacts.values()]
      .filter((contact) => contact.state === k_edge.asks_me && !contact.blocked)
      .sort((a, b) => number_of(b.sinceMs) - number_of(a.sinceMs)),
  );
  readonly asked = $derived.by(() => [...this.contacts.values()].filter((contact) => contact.state === k_edge.asked));
  readonly blocked = $derived.by(() => [...this.contacts.values()].filter((contact) => contact.blocked));
  readonly my_groups = $derived.by(() =>
    [...this.groups.values()]
      .filter((row) => !row.left && !row.group.dissolved)
      .sort((a, b) => this.group_name(a.id).localeCompare(this.group_name(b.id), settings.language)),
  );
  readonly unread = $derived.by(() => {
    let sum = 0;
    for (const row of this.convs.values()) if (this.is_listed(row) && row.mute_until < Date.now()) sum += row.unread;
    return sum;
  });

  constructor() {
    this.deps = engine_deps(this.sessions);
    addEventListener('hashchange', () => {
      this.route = route_of(location.hash);
    });
  }

  private is_listed(row: ConvRow): boolean {
    if (row.hidden) return false;
    return row.last !== undefined || row.time > 0 || this.pending.has(row.conv) || this.drafts.has(row.conv);
  }

  // ---- life
  async start(): Promise<void> {
    const ticket = new URLSearchParams(location.hash.slice(1)).get('ticket');
    if (ticket) {
      history.replaceState(null, '', location.pathname);
      this.route = route_of('');
      try {
        await this.anonymous_wire().login({ integratorTicket: to_base64(from_base64(ticket)) });
      } catch (error) {
        this.notice = this.explain(error);
        this.phase = 'auth';
        return;
      }
    }
    const session = this.sessions.load();
    if (session) await this.enter(session.uin);
    else this.phase = 'auth';
  }
  async login(user_name: string, password: string): Promise<void> {
    const answer = await this.anonymous_wire().login({ password: { userName: user_name, password } });
    await this.enter(answer.uin!, answer.account);
  }
  async register(user_name: string, password: string, nickname: string): Promise<void> {
    const answer = await this.anonymous_wire().register({ userName: user_name, password, nickname });
    await this.enter(answer.uin!, answer.account);
  }
  private anonymous_wire(): Wire {
    return new Wire({
      ...this.deps,
      on_ring() {},
      on_up() {},
      on_state() {},
      on_ended() {},
      snapshot: async () => '',
      on_quiet: async () => {},
    });
  }
  private async enter(uin: string, account?: AccountJson): Promise<void> {
    this.notice = '';
    this.uin = uin;
    this.engine = new Engine(uin, this.deps, {
      change: (change) => {
        void this.take(change);
      },
      net: (net) => {
        this.net = net;
      },
      typing: (conv, actor) => this.show_typing(conv, actor),
      ended: () => this.leave(t('notice.ended')),
      logout: () => this.leave(''),
      synced: () => {
        this.synced = true;
      },
    });
    await this.engine.start();
    if (account) await this.engine.store.put_account(account);
    await this.read_all();
    this.phase = 'ready';
    if (!this.account)
      void this.engine.call('profile/get', { uin: '0' }).then(
        (answer) => answer.profile && this.engine.store.put_account({ profile: answer.profile }),
        () => {},
      );
    void navigator.storage?.persist?.().catch(() => {});
  }
  private leave(notice: string): void {
    for (const map of [this.contacts, this.groups, this.profiles, this.convs, this.drafts, this.pending, this.typing])
      map.clear();
    this.account = undefined;
    this.synced = false;
    this.notice = notice;
    this.phase = 'auth';
    history.replaceState(null, '', location.pathname);
    this.route = route_of('');
  }
  async logout(): Promise<void> {
    await this.engine.logout();
    this.leave('');
  }

  // ---- rows
  listen(listener: (change: Change) => void): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }
  private async read_all(): Promise<void> {
    const { store } = this.engine;
    const [account, contacts, groups, profiles, convs, drafts] = await Promise.all([
      store.account(),
      store.contacts(),
      store.groups(),
      store.profiles(),
      store.conversations(),
      store.drafts(),
    ]);
    this.account = account;
    for (const row of contacts) this.contacts.set(row.uin, row.contact);
    for (const row of groups) this.groups.set(row.id, row);
    for (const row of profiles) this.profiles.set(row.uin, row.profile);
    for (const row of drafts) this.drafts.set(row.conv, row.text);
    for (const row of convs) this.convs.set(row.conv, row);
    for (const row of await store.outbox()) this.pending.set(row.conv, [...(this.pending.get(row.conv) ?? []), row]);
  }
  private async take(change: Change): Promise<void> {
    const { store } = this.engine;
    try {
      // Messages first and at once: their echoes go only after that, or a bubble would be gone for a moment.
      for (const listener of this.listeners) listener(change);
      if (change.account) this.account = await store.account();
      for (const uin of change.contacts ?? []) {
        const row = await store.contact(uin);
        if (!row) continue;
        const accepted = this.contacts.get(uin)?.state === k_edge.asked && row.contact.state === k_edge.friend;
        this.contacts.set(uin, row.contact);
        if (accepted) this.toast(t('contact.accepted_by', { name: this.name_of(uin) }));
      }
      for (const uin of change.profiles ?? []) {
        const row = await store.profile(uin);
        if (row) this.profiles.set(uin, row.profile);
      }
      for (const id of change.groups ?? []) {
        const row = await store.group(id);
        if (row) this.groups.set(id, row);
      }
      if ((change.convs?.length ?? 0) > 20)
        for (const row of await store.conversations()) this.convs.set(row.conv, row);
      else
        for (const conv of change.convs ?? []) {
          const row = await store.conversation(conv);
          if (row) this.convs.set(conv, row);
        }
      this.tell_of(change.messages ?? []);
      for (const conv of change.drafts ?? []) {
        const row = await store.draft(conv);
        if (row) this.drafts.set(conv, row.text);
        else this.drafts.delete(conv);
      }
      for (const conv of change.outbox ?? []) {
        const rows = await store.outbox_of(conv);
        if (rows.length) this.pending.set(conv, rows);
        else this.pending.delete(conv);
      }
      for (const message of change.messages ?? [])
        if (message.message.sender !== this.uin) this.typing.delete(message.conv);
    } catch (error) {
      if (this.phase === 'ready') console.error(error); // The store closed under a late change: the page is leaving.
    }
  }
  // What came just now from somebody else and nobody has read; pages of history are old or read.
  private tell_of(messages: MessageRow[]): void {
    if (!this.engine.leading) return;
    for (const { conv, pos, time, message } of messages) {
      const row = this.convs.get(conv);
      if (!row || message.sender === this.uin || (message.flags ?? 0) & k_flags_silent) continue;
      if (pos <= row.read_position || row.mute_until > Date.now() || Date.now() - time > k_news_ms) continue;
      notify(conv, this.title_of(conv), this.digest_of({ ...row, last: message }), () => this.open_chat(conv));
    }
  }
  private show_typing(conv: ConvKey, actor: string): void {
    this.typing.set(conv, actor);
    clearTimeout(this.typing_timers.get(conv));
    this.typing_timers.set(
      conv,
      setTimeout(() => this.typing.delete(conv), k_typing_ms),
    );
  }

  // ---- names
  profile_of(uin: string): ProfileJson | undefined {
    if (uin === this.uin) return this.account?.profile;
    const known = this.contacts.get(uin)?.profile;
    const asked = this.profiles.get(uin);
    return known && asked && number_of(asked.version) > number_of(known.version) ? asked : (known ?? asked);
  }
  name_of(uin: string, group = ''): string {
    const contact = this.contacts.get(uin);
    const profile = this.profile_of(uin);
    const alias = group ? this.groups.get(group)?.group.members?.find((member) => member.uin === uin)?.alias : '';
    const known = contact?.remark || alias || profile?.nickname || profile?.userName;
    return known || (this.is_system(uin) ? t('people.system') : uin);
  }
  is_system(uin: string): boolean {
    return uin === k_system_uin || this.profile_of(uin)?.type === k_type_system;
  }
  group_name(id: string): string {
    const row = this.groups.get(id);
    if (row?.group.name) return row.group.name;
    const names = (row?.group.members ?? [])
      .filter((member) => member.uin !== this.uin)
      .slice(0, 4)
      .map((member) => this.name_of(member.uin!));
    return names.length > 0 ? names.join(t('list.comma')) : t('group.unnamed');
  }
  title_of(conv: ConvKey): string {
    const { type, id } = conv_of(conv);
    if (type === k_group) return this.group_name(id!);
    if (type === k_direct && id === this.uin) return t('notes.title');
    return this.name_of(id!);
  }
  // One line for the list and for notifications.
  digest_of(row: ConvRow): string {
    const message = row.last;
    if (!message) return '';
    if ((message.state ?? 0) === 1) return t('message.recalled');
    if ((message.state ?? 0) > 1) return t('message.gone');
    if (message.kind === k_system) {
      const line = system_of(message);
      return (line && system_text(line, (uin) => this.actor_name(uin))) || message.digest || '';
    }
    const text = message.digest || t('message.unknown');
    if (conv_of(row.conv).type === k_group && message.sender && message.sender !== this.uin)
      return `${this.name_of(message.sender, conv_of(row.conv).id)}: ${text}`;
    return text;
  }
  actor_name(uin: string, group = ''): string {
    return uin === this.uin ? t('you') : this.name_of(uin, group);
  }

  // ---- going places
  go(section: Section, item = ''): void {
    const hash = `#/${section}${item ? `/${item}` : ''}`;
    if (location.hash === hash) return;
    location.hash = hash;
    this.route = route_of(hash);
  }
  back(): void {
    this.go(this.route.section);
  }
  open_chat(conv: ConvKey): void {
    this.go('chats', conv);
  }

  // ---- telling
  toast(text: string, kind: 'info' | 'error' = 'info'): void {
    const id = this.next_toast++;
    this.toasts.push({ id, text, kind });
    setTimeout(() => {
      const at = this.toasts.findIndex((one) => one.id === id);
      if (at >= 0) this.toasts.splice(at, 1);
    }, 4500);
  }
  explain(error: unknown): string {
    return explain(error);
  }
  // Runs what a button does; a failure becomes a toast.
  async act(work: () => Promise<unknown>, done = ''): Promise<boolean> {
    try {
      await work();
      if (done) this.toast(done);
      return true;
    } catch (error) {
      this.toast(explain(error), 'error');
      return false;
    }
  }
}

let the_model: Model | undefined;
// One per page, made by main.ts before anything is drawn.
export function model(): Model {
  return (the_model ??= new Model());
}
