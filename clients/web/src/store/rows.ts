// What the browser keeps of one account. Wire messages are kept as they came, so that fields and kinds this client
// does not know survive; beside them stands what the client itself needs to find and order them.
import type { ContactJson, ConversationJson, GroupJson, MessageJson, ProfileJson } from '../wire/types';

// A conversation as a key: "1:42", "2:7", with ":thread" when there is one.
export type ConvKey = string;
export const k_direct = 1;
export const k_group = 2;

export function conv_key(conversation: ConversationJson | undefined): ConvKey {
  const { type = 0, id = '0', thread = '0' } = conversation ?? {};
  return thread === '0' ? `${type}:${id}` : `${type}:${id}:${thread}`;
}
export function conv_of(key: ConvKey): ConversationJson {
  const [type = '0', id = '0', thread] = key.split(':');
  return thread ? { type: Number(type), id, thread } : { type: Number(type), id };
}
// Positions, versions and ids are below 2^53 by the contract, so a number holds them exactly.
export const number_of = (text: string | undefined): number => Number(text ?? 0);

export interface MessageRow {
  key: string; // Message.key, base64
  conv: ConvKey;
  pos: number;
  time: number; // server time, ms
  message: MessageJson;
}
// Just above the newest message: "what is below here is not known".
export const k_top = Number.MAX_SAFE_INTEGER;

export interface ConvRow {
  conv: ConvKey;
  time: number; // of the last change, sorts the list
  last?: MessageJson;
  last_position: number;
  read_position: number;
  unread: number;
  mentions: number;
  mute_until: number;
  pin: number;
  hidden: boolean;
  cleared: number;
  server_draft: string;
  // Unread as the server counted it, at which position; what came later is counted here.
  base_unread: number;
  base_last: number;
  state_version: number;
  // Positions below which messages are missing here. Below k_top: the newest are missing.
  holes: number[];
  series?: number; // The hole this run of sync answers made, until the run is over.
  read_wanted?: number; // A read mark the server has not confirmed yet.
}
export const new_conv = (conv: ConvKey): ConvRow => ({
  conv,
  time: 0,
  last_position: 0,
  read_position: 0,
  unread: 0,
  mentions: 0,
  mute_until: 0,
  pin: 0,
  hidden: false,
  cleared: 0,
  server_draft: '',
  base_unread: 0,
  base_last: 0,
  state_version: 0,
  holes: [k_top],
});

export type SendState = 'queued' | 'sending' | 'sent' | 'failed';
export interface OutboxRow {
  n?: number; // order of writing, given by the store
  id: string; // client_msg_id
  conv: ConvKey;
  state: SendState;
  created: number; // ms; 7 days later the person is asked
  message: MessageJson; // as it is sent
  error?: number; // code of the failure; 0: too old
  sent_time?: number;
}
export interface GroupRow {
  id: string;
  group: GroupJson;
  version: number;
  members_version: number;
  left?: boolean;
}
export interface ContactRow {
  uin: string;
  contact: ContactJson;
}
export interface ProfileRow {
  uin: string;
  profile: ProfileJson;
  fetched: number;
}
export interface DraftRow {
  conv: ConvKey;
  text: string;
  time: number;
}

// What a transaction changed: told to this tab and to the others, which read the rows again.
export interface Change {
  convs?: ConvKey[];
  messages?: MessageRow[];
  outbox?: ConvKey[];
  contacts?: string[];
  groups?: string[];
  profiles?: string[];
  drafts?: ConvKey[];
  account?: boolean;
}
