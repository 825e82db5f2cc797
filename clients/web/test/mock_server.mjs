// A server of the web contract in memory, for tests and screenshots only. It keeps the promises a client can see:
// own inbox versions as positions of direct chats, dense seqs in groups, deduplication by client_msg_id, snapshots that
// name a version, state rows beside messages, and answers cut at `sync_rows` with `more`.
// Faults on demand: `mock.break_links()`, `mock.refuse(true)`, `mock.hold_sends(true)`, `mock.reset_next_sync()`.
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';

const dist = resolve(fileURLToPath(new URL('../dist', import.meta.url)));
const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webmanifest': 'application/manifest+json',
  '.json': 'application/json',
};
const csp =
  "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; connect-src 'self' ws: wss:; frame-ancestors 'none'";
const classes = {
  3: 2,
  4: 2,
  5: 5,
  6: 3,
  7: 5,
  8: 5,
  11: 5,
  101: 5,
  102: 5,
  103: 5,
  104: 5,
  105: 5,
  106: 5,
  107: 5,
  108: 5,
  111: 1,
  112: 5,
  113: 3,
  114: 5,
  116: 5,
};
const b64 = (bytes) => Buffer.from(bytes).toString('base64');

// The few bytes of SystemContent.
function varint(number) {
  const out = [];
  let rest = BigInt(number);
  do {
    const part = Number(rest & 127n);
    rest >>= 7n;
    out.push(rest ? part | 128 : part);
  } while (rest);
  return Buffer.from(out);
}
const field = (number, bytes) => Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
export function system_content(template, args) {
  return Buffer.concat([
    field(1, Buffer.from(template)),
    ...args.map((arg) =>
      field(
        2,
        Buffer.concat([
          field(1, Buffer.from(arg.name)),
          ...(arg.text ? [field(2, Buffer.from(arg.text))] : []),
          ...(arg.uin ? [varint(3 << 3), varint(arg.uin)] : []),
        ]),
      ),
    ),
  ]);
}

class Failure extends Error {
  constructor(code, debug = '') {
    super(debug || String(code));
    this.code = code;
  }
}

export class MockServer {
  constructor() {
    this.users = new Map();
    this.names = new Map();
    this.groups = new Map();
    this.tickets = new Map();
    this.refreshes = new Map();
    this.links = new Set();
    this.next_uin = 100001;
    this.next_group = 500001;
    this.sync_rows = 400;
    this.refused = false;
    this.held = false;
    this.resets = new Set();
    this.now = () => Date.now();
    this.requests = [];
    this.no_ws = false;
    this.polls = new Set();
  }

  // ---- accounts
  make_user(name, password, nickname, more = {}) {
    if (this.names.has(name)) throw new Failure(101);
    const uin = String(this.next_uin++);
    const user = {
      uin,
      name,
      password,
      log: [],
      version: 0,
      contacts: new Map(),
      convs: new Map(),
      messages: new Map(),
      dedup: new Map(),
      devices: new Map(),
      account: {
        profile: {
          uin,
          userName: name,
          nickname,
          avatarColor: more.color ?? 0,
          type: 1,
          version: '1',
          signature: more.signature ?? '',
        },
        createdMs: String(this.now()),
        version: '1',
      },
    };
    this.users.set(uin, user);
    this.names.set(name, uin);
    this.push(user, 'account', { account: user.account }, 'account');
    return user;
  }
  open_session(user, device) {
    const id = device?.id ?? b64(randomBytes(16));
    const epoch = (user.devices.get(id)?.epoch ?? 0) + 1;
    const session = { uin: user.uin, device: id, epoch };
    user.devices.set(id, { id, epoch, info: device, createdMs: String(this.now()), seenMs: String(this.now()) });
    const ticket = b64(randomBytes(24));
    const refresh = b64(randomBytes(24));
    this.tickets.set(ticket, session);
    this.refreshes.set(refresh, session);
    return { uin: user.uin, ticket, refresh, deviceEpoch: epoch, account: user.account, features: [], limits: {} };
  }
  session_of(base, link) {
    const session = base?.ticket ? this.tickets.get(base.ticket) : link?.session;
    if (!session) throw new Failure(6);
    if (this.users.get(session.uin).devices.get(session.device)?.epoch !== session.epoch) throw new Failure(113);
    return session;
  }

  // ---- inboxes
  push(user, slot, entry, ring = 'messages') {
    user.version += 1;
    const version = user.version;
    if (slot) user.log = user.log.filter((row) => row.slot !== slot);
    const what = Object.keys(entry)[0];
    const value = { ...entry[what], version: String(version) };
    user.log.push({ version, slot, entry: { [what]: value } });
    this.ring(user.uin, { version: String(version), key: { account: 1, contacts: 2, messages: 3 }[ring] });
    return version;
  }
  ring(uin, ring) {
    for (const link of this.links)
      if (link.session?.uin === uin && link.session.device !== this.quiet) link.send({ ring });
    for (const poll of [...this.polls])
      if (poll.uin === uin) {
        this.polls.delete(poll);
        poll.resolve({ rings: [ring] });
      }
  }
  conv(user, conversation) {
    const key = `${conversation.type}:${conversation.id}`;
    let row = user.convs.get(key);
    if (!row)
      user.convs.set(
        key,
        (row = {
          conversation: { type: conversation.type, id: conversation.id },
          lastPosition: 0,
          readPosition: 0,
          unread: 0,
          messages: [],
          muteUntilMs: '0',
          pinRank: '0',
          hidden: false,
          draft: '',
          clearedPosition: '0',
        }),
      );
    return row;
  }
  state(row, version) {
    return {
      ...row,
      messages: undefined,
      lastPosition: String(row.lastPosition),
      readPosition: String(row.readPosition),
      last: row.messages.at(-1),
      version: version ? String(version) : undefined,
    };
  }
  append(user, message, conversation, position) {
    const row = this.conv(user, conversation);
    const version = user.version + 1;
    const mine = {
      ...message,
      conversation: row.conversation,
      position: String(position ?? version),
      version: String(version),
    };
    row.messages.push(mine);
    row.lastPosition = Number(mine.position);
    row.hidden = false;
    if (message.sender !== user.uin && !((message.flags ?? 0) & 1)) row.unread += 1;
    this.push(user, '', { message: mine });
    return mine;
  }
  friends(a, b) {
    return this.users.get(a).contacts.get(b)?.state === 1 && this.users.get(b)?.contacts.get(a)?.state === 1;
  }
  set_contact(user, uin, change) {
    const old = user.contacts.get(uin) ?? { uin, state: 0 };
    const contact = { ...old, ...change, profile: this.users.get(uin).account.profile };
    user.contacts.set(uin, contact);
    contact.version = String(this.push(user, `contact${uin}`, { contact }, 'contacts'));
    return contact;
  }
  befriend(a, b, silent = false) {
    const since = String(this.now());
    this.set_contact(a, b.uin, { state: 1, sinceMs: since });
    this.set_contact(b, a.uin, { state: 1, sinceMs: since });
    if (!silent) {
      for (const [one, other] of [
        [a, b],
        [b, a],
      ])
        this.append(
          one,
          {
            key: b64(randomBytes(16)),
            sender: other.uin,
            kind: 2,
            content: b64(system_content('friend.accepted', [{ name: 'uin', uin: other.uin }])),
            digest: 'You are friends now',
            serverTimeMs: since,
            flags: 1,
          },
          { type: 1, id: other.uin },
        );
    }
  }
  send(user, message, time = this.now()) {
    const { conversation } = message;
    const content = Buffer.from(message.content ?? '', 'base64');
    if (content.length > 32768) throw new Failure(11);
    const key = createHash('sha256').update(`${user.uin} ${message.clientMsgId}`).digest().subarray(0, 16);
    const payload = createHash('sha256')
      .update(JSON.stringify([conversation, message.kind, message.content]))
      .digest('hex');
    const old = user.dedup.get(message.clientMsgId);
    if (old) {
      if (old.payload !== payload) throw new Failure(107);
      return old.sent;
    }
    const wire = { ...message, key: b64(key), sender: user.uin, serverTimeMs: String(time) };
    if (conversation.type === 2) {
      const group = this.groups.get(conversation.id);
      if (!group?.members.some((member) => member.uin === user.uin)) throw new Failure(108);
      this.group_append(group, wire);
    } else {
      const other = this.users.get(conversation.id);
      if (!other) throw new Failure(8);
      if (other !== user) {
        if (!this.friends(user.uin, other.uin)) throw new Failure(105);
        if (other.contacts.get(user.uin)?.blocked) throw new Failure(106);
      }
      this.append(user, wire, conversation);
      if (other !== user) this.append(other, wire, { type: 1, id: user.uin });
    }
    const sent = { clientMsgId: message.clientMsgId, key: wire.key, serverTimeMs: wire.serverTimeMs };
    user.dedup.set(message.clientMsgId, { payload, sent });
    return sent;
  }
  say(from, to, text, time) {
    const conversation = typeof to === 'string' ? { type: 2, id: to } : { type: 1, id: to.uin };
    return this.send(
      from,
      {
        conversation,
        clientMsgId: b64(randomBytes(12)),
        kind: 1,
        content: b64(Buffer.from(text)),
        digest: text.slice(0, 60),
      },
      time,
    );
  }
  // ---- groups
  group_of(group) {
    return {
      id: group.id,
      name: group.name,
      owner: group.owner,
      memberCount: group.members.length,
      version: String(group.version),
      avatarColor: group.color ?? 0,
    };
  }
  group_append(group, message) {
    group.seq += 1;
    for (const member of group.members)
      this.append(this.users.get(member.uin), message, { type: 2, id: group.id }, group.seq);
  }
  group_event(group, actor, template, args, also = []) {
    group.version += 1;
    const state = this.group_of(group);
    for (const uin of [...group.members.map((member) => member.uin), ...also])
      this.push(this.users.get(uin), `group${group.id}`, { group: { group: group.id, seq: String(group.seq), state } });
    this.group_append(group, {
      key: b64(randomBytes(16)),
      sender: actor,
      kind: 2,
      content: b64(system_content(template, args)),
      digest: template,
      serverTimeMs: String(this.now()),
      flags: 1,
    });
  }
  make_group(owner, name, members) {
    const group = {
      id: String(this.next_group++),
      name,
      owner: owner.uin,
      seq: 0,
      version: 0,
      members: [owner.uin, ...members].map((uin, at) => ({
        uin,
        role: at === 0 ? 1 : 3,
        joinedMs: String(this.now()),
      })),
    };
    this.groups.set(group.id, group);
    this.group_event(group, owner.uin, 'group.created', [{ name: 'actor', uin: owner.uin }]);
    return group;
  }

  // ---- commands
  run(path, body, link) {
    if (path === 'register') {
      if (!/^[a-z][a-z0-9_.-]{2,31}$/.test(body.userName ?? '')) throw new Failure(102);
      if ((body.password ?? '').length < 8) throw new Failure(103);
      return this.open_session(
        this.make_user(body.userName, body.password, body.nickname || body.userName),
        body.device,
      );
    }
    if (path === 'login') {
      if (body.refresh) {
        const session = this.refreshes.get(body.refresh);
        if (!session || this.users.get(session.uin).devices.get(session.device)?.epoch !== session.epoch)
          throw new Failure(6);
        const ticket = b64(randomBytes(24));
        this.tickets.set(ticket, session);
        return {
          uin: session.uin,
          ticket,
          refresh: body.refresh,
          deviceEpoch: session.epoch,
          account: this.users.get(session.uin).account,
        };
      }
      if (body.integratorTicket) {
        const user = this.users.get(
          this.names.get(
            Buffer.from(body.integratorTicket, 'base64')
              .toString()
              .replace(/^ticket-of-/, ''),
          ),
        );
        if (!user) throw new Failure(6);
        return this.open_session(user, body.device);
      }
      const user = this.users.get(this.names.get(body.password?.userName));
      if (!user || user.password !== body.password.password) throw new Failure(104);
      return this.open_session(user, body.device);
    }
    const session = this.session_of(body.base, link);
    const user = this.users.get(session.uin);
    switch (path) {
      case 'identify':
        if (link) link.session = session;
        return {};
      case 'logout':
        user.devices.delete(session.device);
        return {};
      case 'profile/get': {
        const one = this.users.get(!body.uin || body.uin === '0' ? user.uin : body.uin);
        if (!one) throw new Failure(8);
        return { profile: one.account.profile };
      }
      case 'profile/set': {
        const profile = { ...user.account.profile, version: String(Number(user.account.profile.version) + 1) };
        for (const [name, key] of [
          ['nickname', 'nickname'],
          ['avatar_color', 'avatarColor'],
          ['signature', 'signature'],
        ])
          if (body.fields?.includes(name)) profile[key] = body[key];
        user.account = { ...user.account, profile };
        user.account.version = String(this.push(user, 'account', { account: user.account }, 'account'));
        for (const uin of user.contacts.keys()) this.set_contact(this.users.get(uin), user.uin, {});
        return { account: user.account };
      }
      case 'password/set':
        if (user.password !== body.oldPassword) throw new Failure(104);
        if ((body.newPassword ?? '').length < 8) throw new Failure(103);
        user.password = body.newPassword;
        return {};
      case 'device/list':
        return {
          devices: [...user.devices.values()].map((device) => ({
            ...device,
            thisDevice: device.id === session.device,
            online: [...this.links].some((one) => one.session?.device === device.id),
          })),
        };
      case 'device/kick':
        this.kick(user, body.deviceId);
        return {};
      case 'user/find': {
        const one = this.users.get(body.uin ?? this.names.get(body.userName));
        if (!one) throw new Failure(8);
        return { profile: one.account.profile, contact: user.contacts.get(one.uin) };
      }
      case 'friend/add': {
        const other = this.users.get(body.uin);
        if (!other) throw new Failure(8);
        if (other.contacts.get(user.uin)?.state === 2 || other.contacts.get(user.uin)?.state === 1) {
          this.befriend(user, other);
          return { contact: user.contacts.get(other.uin) };
        }
        this.set_contact(other, user.uin, { state: 3, greeting: body.greeting, sinceMs: String(this.now()) });
        return {
          contact: this.set_contact(user, other.uin, {
            state: 2,
            greeting: body.greeting,
            sinceMs: String(this.now()),
          }),
        };
      }
      case 'friend/accept':
        if (user.contacts.get(body.uin)?.state !== 3) throw new Failure(112);
        this.befriend(user, this.users.get(body.uin));
        return { contact: user.contacts.get(body.uin) };
      case 'friend/remove': {
        const other = this.users.get(body.uin);
        if ([2, 3].includes(other.contacts.get(user.uin)?.state)) this.set_contact(other, user.uin, { state: 0 });
        return { contact: this.set_contact(user, body.uin, { state: 0 }) };
      }
      case 'contact/set': {
        const change = {};
        for (const name of body.fields ?? []) change[name] = body[name] ?? (name === 'remark' ? '' : false);
        return { contact: this.set_contact(user, body.uin, change) };
      }
      case 'contact/list':
        return { contacts: [...user.contacts.values()] };
      case 'send': {
        const sent = [];
        this.quiet = session.device; // The device that sends is not rung.
        for (const message of body.messages ?? []) {
          try {
            sent.push(this.send(user, message));
          } catch (error) {
            sent.push({ clientMsgId: message.clientMsgId, code: error.code ?? 15 });
            break;
          }
        }
        this.quiet = null;
        const bad = sent.find((one) => one.code);
        return { base: bad ? { code: bad.code, class: classes[bad.code] ?? 5 } : undefined, sent };
      }
      case 'read': {
        const row = this.conv(user, body.conversation);
        row.readPosition = Math.max(row.readPosition, Number(body.position));
        row.unread = row.messages.filter(
          (one) => Number(one.position) > row.readPosition && one.sender !== user.uin && !((one.flags ?? 0) & 1),
        ).length;
        return { state: this.put_state(user, row) };
      }
      case 'conversation/set': {
        const row = this.conv(user, body.conversation);
        const names = {
          mute_until_ms: 'muteUntilMs',
          pin_rank: 'pinRank',
          hidden: 'hidden',
          draft: 'draft',
          cleared_position: 'clearedPosition',
        };
        for (const name of body.fields ?? []) row[names[name]] = body[names[name]] ?? (name === 'hidden' ? false : '0');
        return { state: this.put_state(user, row) };
      }
      case 'history': {
        const before = Number(body.beforePosition ?? 0) || Infinity;
        const rows = this.conv(user, body.conversation).messages.filter((one) => Number(one.position) < before);
        const page = rows.slice(-Math.min(body.limit ?? 50, 100));
        return { messages: page.reverse(), more: rows.length > page.length };
      }
      case 'typing':
        if (body.conversation.type === 1)
          this.ring(body.conversation.id, {
            kind: 1,
            key: 3,
            conversation: { type: 1, id: user.uin },
            actor: user.uin,
          });
        return {};
      case 'sync':
        return this.sync(user, body.snapshot);
      case 'poll':
        return new Promise((done) => {
          const poll = { uin: user.uin, resolve: done };
          this.polls.add(poll);
          setTimeout(
            () => {
              this.polls.delete(poll);
              done({});
            },
            Math.min(body.waitMs ?? 0, 25000),
          );
        });
      case 'group/create': {
        const known = [...this.groups.values()].find((group) => group.client === `${user.uin} ${body.clientGroupId}`);
        if (known) return { group: this.group_of(known) };
        const group = this.make_group(user, body.name ?? '', body.members ?? []);
        group.client = `${user.uin} ${body.clientGroupId}`;
        return { group: this.group_of(group) };
      }
      default:
        return this.run_group(path, body, user);
    }
  }
  run_group(path, body, user) {
    const group = this.groups.get(body.group);
    if (!path.startsWith('group/')) throw new Failure(14);
    if (!group) throw new Failure(8);
    if (!group.members.some((member) => member.uin === user.uin)) throw new Failure(108);
    const answer = () => ({ group: this.group_of(group) });
    switch (path) {
      case 'group/get':
        return {
          group: {
            ...this.group_of(group),
            members: body.members
              ? group.members.map((member) => ({ ...member, profile: this.users.get(member.uin).account.profile }))
              : undefined,
          },
        };
      case 'group/rename':
        group.name = body.name;
        this.group_event(group, user.uin, 'group.renamed', [
          { name: 'actor', uin: user.uin },
          { name: 'name', text: body.name },
        ]);
        return answer();
      case 'group/add':
        for (const uin of body.members)
          if (!group.members.some((member) => member.uin === uin))
            group.members.push({ uin, role: 3, joinedMs: String(this.now()) });
        this.group_event(group, user.uin, 'group.member_added', [
          { name: 'actor', uin: user.uin },
          ...body.members.map((uin) => ({ name: 'member', uin })),
        ]);
        return answer();
      case 'group/admin': {
        if (group.owner !== user.uin) throw new Failure(7);
        for (const member of group.members)
          if (body.members.includes(member.uin)) member.role = body.admin ? 2 : 3;
        this.group_event(group, user.uin, body.admin ? 'group.admin_added' : 'group.admin_removed', [
          { name: 'actor', uin: user.uin },
          ...body.members.map((uin) => ({ name: 'member', uin })),
        ]);
        return answer();
      }
      case 'group/remove':
        group.members = group.members.filter((member) => !body.members.includes(member.uin));
        this.group_event(
          group,
          user.uin,
          'group.member_removed',
          [{ name: 'actor', uin: user.uin }, ...body.members.map((uin) => ({ name: 'member', uin }))],
          body.members,
        );
        return answer();
      case 'group/leave':
        group.members = group.members.filter((member) => member.uin !== user.uin);
        this.group_event(group, user.uin, 'group.member_left', [{ name: 'actor', uin: user.uin }]);
        return {};
      default:
        throw new Failure(14);
    }
  }
  put_state(user, row) {
    const version = this.push(user, `state${row.conversation.type}:${row.conversation.id}`, { state: this.state(row) });
    return this.state(row, version);
  }
  sync(user, snapshot) {
    let from = 0;
    if (snapshot) {
      const [uin, at] = Buffer.from(snapshot, 'base64').toString().split(' ');
      if (uin !== user.uin) throw new Failure(111);
      from = Number(at);
    }
    const reset = this.resets.delete(user.uin);
    if (reset) from = Math.max(from, user.version - 3);
    const rows = from === 0 && user.log.length > this.sync_rows ? null : user.log.filter((row) => row.version > from);
    if (rows === null) return this.first_sync(user);
    const page = rows.slice(0, this.sync_rows);
    const at = page.length < rows.length ? page.at(-1).version : user.version;
    return {
      entries: page.map((row) => row.entry),
      snapshot: b64(`${user.uin} ${at}`),
      more: page.length < rows.length,
      reset,
    };
  }
  // The newest rows of the list and the last page of the newest 20 conversations, as a new device gets them.
  first_sync(user) {
    const entries = user.log.filter((row) => !row.entry.message && !row.entry.state).map((row) => row.entry);
    const rows = [...user.convs.values()].sort(
      (a, b) => Number(b.messages.at(-1)?.serverTimeMs ?? 0) - Number(a.messages.at(-1)?.serverTimeMs ?? 0),
    );
    rows.slice(0, 200).forEach((row, at) => {
      if (at < 20) for (const message of row.messages.slice(-20)) entries.push({ message });
      entries.push({ state: this.state(row, user.version) });
    });
    for (const row of rows.slice(200)) entries.push({ state: this.state(row, user.version) });
    return { entries, snapshot: b64(`${user.uin} ${user.version}`), more: false };
  }
  kick(user, device) {
    user.devices.delete(device);
    for (const link of this.links)
      if (link.session?.uin === user.uin && link.session.device === device) {
        link.send({ ring: { kind: 2, key: 1 } });
        link.socket.close(4001);
      }
  }

  // ---- faults
  break_links() {
    for (const link of this.links) link.socket.terminate();
  }
  refuse(yes) {
    this.refused = yes;
    if (yes) this.break_links();
  }
  reset_next_sync(uin) {
    this.resets.add(uin);
  }
  hold_sends(yes) {
    this.held = yes;
    if (!yes) for (const wake of this.waiting?.splice(0) ?? []) wake();
  }

  // ---- the port
  async answer(path, body, link) {
    this.requests.push(path);
    if (path === 'send' && this.held) await new Promise((wake) => (this.waiting ??= []).push(wake));
    try {
      const result = await this.run(path, body, link);
      return { ...result, base: { serverTimeMs: String(this.now()), ...result.base } };
    } catch (error) {
      if (!(error instanceof Failure)) console.error(error);
      const code = error.code && error instanceof Failure ? error.code : 15;
      return { base: { code, class: classes[code] ?? 6, debug: error.message, serverTimeMs: String(this.now()) } };
    }
  }
  async listen(port = 0) {
    this.http = createServer((request, response) => {
      void this.serve(request, response).catch((error) => {
        console.error(error);
        response.destroy();
      });
    });
    const sockets = new WebSocketServer({ noServer: true, maxPayload: 1 << 20 });
    this.http.on('upgrade', (request, socket, head) => {
      if (request.url !== '/ws' || this.refused || this.no_ws) {
        socket.destroy();
        return;
      }
      sockets.handleUpgrade(request, socket, head, (ws) => {
        const link = {
          socket: ws,
          session: null,
          send: (frame) => {
            if (ws.readyState === 1) ws.send(JSON.stringify(frame));
          },
        };
        this.links.add(link);
        ws.on('close', () => this.links.delete(link));
        ws.on('message', (data) => {
          const frame = JSON.parse(String(data));
          void this.answer(frame.path, frame.body, link).then((body) => link.send({ id: frame.id, body }));
        });
      });
    });
    await new Promise((done) => this.http.listen(port, '127.0.0.1', done));
    this.origin = `http://127.0.0.1:${this.http.address().port}`;
    return this.origin;
  }
  async close() {
    this.break_links();
    this.http.closeAllConnections?.();
    await new Promise((done) => this.http.close(done));
  }
  async serve(request, response) {
    const url = new URL(request.url, 'http://x');
    if (this.refused) {
      request.socket.destroy();
      return;
    }
    if (url.pathname.startsWith('/api/v1/')) {
      if (request.method !== 'POST') {
        response.writeHead(405).end();
        return;
      }
      const parts = [];
      for await (const part of request) parts.push(part);
      const answer = await this.answer(
        url.pathname.slice(8),
        JSON.parse(Buffer.concat(parts).toString() || '{}'),
        null,
      );
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
      return;
    }
    const safe = normalize(url.pathname).replace(/^(\.\.[/\\])+/, '');
    let file = join(dist, safe);
    if (!existsSync(file) || statSync(file).isDirectory()) file = join(dist, 'index.html');
    if (!file.startsWith(dist) || (extname(safe) && !existsSync(join(dist, safe)))) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      'content-type': types[extname(file)] ?? 'application/octet-stream',
      'content-security-policy': csp,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': file.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
    });
    createReadStream(file).pipe(response);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = new MockServer();
  const ann = server.make_user('ann', 'password-ann', 'Ann');
  const bo = server.make_user('bo', 'password-bo', 'Bo');
  server.befriend(ann, bo);
  server.say(bo, ann, 'Hello Ann!');
  console.log(await server.listen(Number(process.env.PORT ?? 8080)), 'ann / password-ann, bo / password-bo');
}
