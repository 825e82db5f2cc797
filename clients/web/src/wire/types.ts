// The commands of the client contract as TypeScript. The messages are made from src/api/client/*.proto; 64-bit
// integers are strings and bytes are base64, as in the protobuf JSON mapping. Nothing here runs.
import type { BaseResponseJson } from './gen/api/client/base_pb';
import type * as chat from './gen/api/client/chat_pb';
import type * as friend from './gen/api/client/friend_pb';
import type * as group from './gen/api/client/group_pb';
import type * as login from './gen/api/client/login_pb';
import type * as sync from './gen/api/client/sync_pb';

export type { BaseRequestJson, BaseResponseJson, LimitsJson } from './gen/api/client/base_pb';
export type { DeviceJson, DeviceInfoJson, LoginResponseJson } from './gen/api/client/login_pb';
export type { SentJson, SendResponseJson } from './gen/api/client/chat_pb';
export type { RingJson, SyncResponseJson } from './gen/api/client/sync_pb';
export type {
  AccountJson,
  ContactJson,
  ConversationJson,
  ConversationStateJson,
  EntryJson,
  GroupJson,
  GroupEventJson,
  GroupMemberJson,
  MarkerJson,
  MessageJson,
  MessageRefJson,
  MessageUpdateJson,
  ProfileJson,
  SystemContentJson,
} from './gen/api/client/message_pb';

export interface Commands {
  register: [login.RegisterRequestJson, login.LoginResponseJson];
  login: [login.LoginRequestJson, login.LoginResponseJson];
  logout: [login.LogoutRequestJson, login.LogoutResponseJson];
  'profile/get': [login.GetProfileRequestJson, login.GetProfileResponseJson];
  'profile/set': [login.SetProfileRequestJson, login.SetProfileResponseJson];
  'password/set': [login.SetPasswordRequestJson, login.SetPasswordResponseJson];
  'device/list': [login.ListDevicesRequestJson, login.ListDevicesResponseJson];
  'device/kick': [login.KickDeviceRequestJson, login.KickDeviceResponseJson];
  'user/find': [login.FindUserRequestJson, login.FindUserResponseJson];
  'friend/add': [friend.AddFriendRequestJson, friend.AddFriendResponseJson];
  'friend/accept': [friend.AcceptFriendRequestJson, friend.AcceptFriendResponseJson];
  'friend/remove': [friend.RemoveFriendRequestJson, friend.RemoveFriendResponseJson];
  'contact/set': [friend.SetContactRequestJson, friend.SetContactResponseJson];
  'contact/list': [friend.ListContactsRequestJson, friend.ListContactsResponseJson];
  send: [chat.SendRequestJson, chat.SendResponseJson];
  read: [chat.MarkReadRequestJson, chat.MarkReadResponseJson];
  'conversation/set': [chat.SetConversationRequestJson, chat.SetConversationResponseJson];
  history: [chat.HistoryRequestJson, chat.HistoryResponseJson];
  'conversation/list': [chat.ListConversationsRequestJson, chat.ListConversationsResponseJson];
  'group/send': [chat.SendRequestJson, chat.SendResponseJson];
  typing: [chat.TypingRequestJson, chat.TypingResponseJson];
  sync: [sync.SyncRequestJson, sync.SyncResponseJson];
  poll: [sync.PollRequestJson, sync.PollResponseJson];
  'group/create': [group.CreateGroupRequestJson, group.CreateGroupResponseJson];
  'group/get': [group.GetGroupRequestJson, group.GetGroupResponseJson];
  'group/rename': [group.RenameGroupRequestJson, group.RenameGroupResponseJson];
  'group/add': [group.AddMembersRequestJson, group.AddMembersResponseJson];
  'group/remove': [group.RemoveMembersRequestJson, group.RemoveMembersResponseJson];
  'group/admin': [group.SetAdminsRequestJson, group.SetAdminsResponseJson];
  'group/leave': [group.LeaveGroupRequestJson, group.LeaveGroupResponseJson];
}
export type Path = keyof Commands;
export type Request<P extends Path> = Omit<Commands[P][0], 'base'>;
export type Response<P extends Path> = Commands[P][1];
export interface AnyResponse {
  base?: BaseResponseJson;
}
