export const en = {
  'app.name': 'Hongyan',
  'app.tagline': 'Messages that arrive.',
  'you': 'You',
  'list.comma': ', ',
  'nav.chats': 'Chats', 'nav.contacts': 'Contacts', 'nav.settings': 'Settings', 'nav.label': 'Main', 'nav.me': 'My profile',

  'auth.login': 'Log in', 'auth.register': 'Create account', 'auth.welcome': 'Welcome back', 'auth.new': 'Create your account',
  'auth.user_name': 'User name', 'auth.password': 'Password', 'auth.nickname': 'Display name', 'auth.repeat': 'Repeat password',
  'auth.have': 'Already have an account?', 'auth.none': 'New here?', 'auth.user_hint': '3–32 characters: a–z, 0–9, _ . - and a letter first',
  'auth.show': 'Show password', 'auth.hide': 'Hide password', 'auth.mismatch': 'The passwords differ.', 'auth.busy': 'One moment…',
  'strength.0': 'Too short: at least 8 characters', 'strength.1': 'Easy to guess', 'strength.2': 'Fair', 'strength.3': 'Good', 'strength.4': 'Strong',
  'strength.label': 'Password strength',

  'net.offline': 'You are offline. What you write is sent when you are back.', 'net.connecting': 'Connecting…',
  'notice.ended': 'This device was logged out. Log in again to go on.',
  'update.ready': 'A new version is ready.', 'update.reload': 'Reload',

  'chats.search': 'Search', 'chats.new': 'New chat', 'chats.empty': 'No chats yet', 'chats.empty_hint': 'Add somebody and say hello.',
  'chats.none': 'Nothing found', 'chats.list': 'Chats', 'chats.draft': 'Draft:', 'chats.failed': 'Not sent', 'chats.pinned': 'Pinned', 'chats.muted': 'Muted',
  'chats.unread': '{count} unread', 'chats.menu': 'More',
  'empty.title': 'Pick a chat', 'empty.hint': 'Choose one on the left, or press Ctrl K to find somebody.',
  'empty.first': 'Your first chat is one step away', 'empty.first_hint': 'Share your user name with a friend, or look for theirs.',

  'new.chat': 'Chat with a friend', 'new.friend': 'Add a friend', 'new.group': 'New group', 'new.notes': 'Notes to self',
  'notes.title': 'Notes to self', 'notes.hint': 'Only you see what you write here.',

  'add.title': 'Add a friend', 'add.placeholder': 'User name or id', 'add.find': 'Find', 'add.none': 'Nobody has that name or id.',
  'add.greeting': 'Greeting', 'add.greeting_default': 'Hi, I’m {name}.', 'add.send': 'Ask to be friends', 'add.sent': 'Request sent', 'add.waiting': 'Waiting for an answer',
  'add.mine': 'My user name', 'add.my_id': 'My id', 'add.self': 'That is you.',

  'contacts.search': 'Search contacts', 'contacts.requests': 'Friend requests', 'contacts.asked': 'Sent requests', 'contacts.friends': 'Friends', 'contacts.groups': 'Groups', 'contacts.blocked': 'Blocked',
  'contacts.empty': 'No friends yet', 'contacts.empty_hint': 'Look for somebody by user name or id.', 'contacts.pick': 'Pick a contact', 'contacts.pick_hint': 'Friends, requests and groups are on the left.',
  'contact.accept': 'Accept', 'contact.refuse': 'Refuse', 'contact.message': 'Send message', 'contact.remark': 'Remark name', 'contact.remark_hint': 'Only you see it.',
  'contact.block': 'Block', 'contact.unblock': 'Unblock', 'contact.remove': 'Remove friend', 'contact.add': 'Add friend', 'contact.withdraw': 'Withdraw request',
  'contact.user_name': 'User name', 'contact.id': 'Id', 'contact.signature': 'What’s up', 'contact.nickname': 'Display name', 'contact.greeting': 'Says', 'contact.since': 'Friends since', 'contact.is_blocked': 'Blocked', 'contact.stranger': 'Not a friend', 'contact.details': 'Profile',
  'contact.remove_title': 'Remove {name}?', 'contact.remove_text': 'You will not be able to message each other. Your chat history stays here.',
  'contact.block_title': 'Block {name}?', 'contact.block_text': 'You will not get messages from them. They are not told.',
  'contact.refuse_title': 'Refuse {name}?', 'contact.refuse_text': 'They can ask again later.',
  'contact.removed': 'Removed', 'contact.accepted': 'You are friends now', 'contact.accepted_by': '{name} accepted your friend request',

  'chat.placeholder': 'Write a message', 'chat.send': 'Send', 'chat.emoji': 'Emoji', 'chat.hint': 'Enter sends, Shift Enter makes a new line', 'chat.info': 'Chat details', 'chat.back': 'Back',
  'chat.members': '{count} members', 'chat.typing': 'typing…', 'chat.typing_who': '{name} is typing…', 'chat.new': 'New messages', 'chat.begin': 'This is where it begins.', 'chat.loading': 'Loading…',
  'chat.older_offline': 'Older messages load when you are online.', 'chat.to_bottom': 'Newest messages', 'chat.messages': 'Messages', 'chat.too_long': 'Too long: {bytes} of {max} bytes',
  'chat.not_friend': 'You are not friends.', 'chat.left': 'You are not in this group any more.', 'chat.hello': 'Say hello to {name}', 'chat.is_blocked': 'You blocked {name}.',
  'chat.pin': 'Pin', 'chat.unpin': 'Unpin', 'chat.mute': 'Mute', 'chat.unmute': 'Unmute', 'chat.hide': 'Remove from list', 'chat.clear': 'Clear history',
  'chat.clear_title': 'Clear this chat?', 'chat.clear_text': 'All messages of this chat disappear from all your devices. The other side keeps theirs.', 'chat.profile': 'Profile', 'chat.read_all': 'Mark as read',
  'state.queued': 'Waiting to be sent', 'state.sending': 'Sending', 'state.sent': 'Sent', 'state.failed': 'Not sent', 'state.retry': 'Try again', 'state.discard': 'Delete', 'state.old': 'Not sent for a week. Try again?',
  'message.copy': 'Copy', 'message.copied': 'Copied', 'message.forward': 'Forward', 'message.forward_to': 'Forward to', 'message.forwarded': 'Forwarded', 'message.recalled': 'Message recalled', 'message.gone': 'Message removed', 'message.unknown': '[Message]', 'message.newer': 'This version can’t show this kind of message.',

  'group.new': 'New group', 'group.name': 'Group name', 'group.optional': 'optional', 'group.create': 'Create', 'group.pick': 'Pick members', 'group.picked': '{count} picked', 'group.unnamed': 'Group', 'group.members': 'Members', 'group.add': 'Add members', 'group.rename': 'Rename', 'group.leave': 'Leave group', 'group.owner': 'Owner', 'group.admin': 'Admin',
  'group.remove': 'Remove {name}', 'group.remove_title': 'Remove {name} from the group?', 'group.remove_text': 'They will not get new messages.', 'group.leave_title': 'Leave {name}?', 'group.leave_text': 'You will not get new messages. What you have stays here.', 'group.no_friends': 'All your friends are in already, or you have none yet.', 'group.info': 'Group', 'group.id': 'Group id', 'group.need': 'Pick at least one friend.',

  'settings.profile': 'Profile', 'settings.appearance': 'Appearance', 'settings.language': 'Language', 'settings.theme': 'Theme', 'settings.auto': 'System', 'settings.light': 'Light', 'settings.dark': 'Dark',
  'settings.devices': 'Devices', 'settings.security': 'Security', 'settings.password': 'Change password', 'settings.logout': 'Log out', 'settings.logout_title': 'Log out?', 'settings.logout_text': 'All chats are deleted from this browser. The server keeps them; messages not sent yet are lost.',
  'settings.color': 'Avatar colour', 'settings.signature': 'What’s up', 'settings.save': 'Save', 'settings.saved': 'Saved', 'settings.this': 'This device', 'settings.kick': 'Log out', 'settings.kick_title': 'Log {name} out?', 'settings.kick_text': 'It has to log in again.', 'settings.seen': 'Seen {time}', 'settings.online': 'Online',
  'settings.about': 'About', 'settings.version': 'Version {version}', 'settings.shortcuts': 'Keyboard', 'settings.copy': 'Copy', 'settings.edit': 'Edit profile', 'settings.devices_fail': 'The list of devices can’t be loaded now.', 'settings.current': 'Current password', 'settings.new_password': 'New password', 'settings.password_done': 'Password changed. Other devices are logged out.',
  'dialog.cancel': 'Cancel', 'dialog.close': 'Close', 'dialog.ok': 'OK', 'dialog.done': 'Done',
  'switcher.title': 'Go to', 'switcher.placeholder': 'Find a chat, friend or group', 'switcher.none': 'Nothing found', 'switcher.messages': 'Messages',
  'keys.search': 'Find a chat', 'keys.send': 'Send', 'keys.line': 'New line', 'keys.close': 'Close, go back', 'keys.move': 'Move in the list', 'keys.next': 'Next / previous chat',
  'color.label': 'Colour {number}',
  'day.today': 'Today', 'day.yesterday': 'Yesterday',

  'system.friend.accepted': 'You are friends now. Say hello!', 'system.friend.added': 'You are friends now. Say hello!',
  'system.group.created': '{actor} created the group', 'system.group.member_added': '{actor} added {member}', 'system.group.members_added': '{actor} added {member}',
  'system.group.member_removed': '{actor} removed {member}', 'system.group.members_removed': '{actor} removed {member}', 'system.group.member_left': '{actor} left the group', 'system.group.renamed': '{actor} renamed the group to “{name}”',

  'error.other': 'That did not work ({code}).', 'error.unavailable': 'The server can’t be reached. Try again in a moment.', 'error.internal': 'Something went wrong.', 'error.deadline': 'The server takes too long. Try again.', 'error.overloaded': 'The server is busy. Try again in a moment.', 'error.invalid': 'The server did not accept that.', 'error.unauthenticated': 'Log in again, please.', 'error.forbidden': 'You may not do that.', 'error.not_found': 'Not found.', 'error.exists': 'It is there already.', 'error.too_large': 'Too long.', 'error.no_space': 'The server’s disk is full.', 'error.rate_limited': 'Too many tries. Wait a moment.', 'error.name_taken': 'Somebody has this user name already.', 'error.bad_name': 'A user name has 3 to 32 of a–z, 0–9, _ . - and starts with a letter.', 'error.bad_password': 'A password has at least 8 characters.', 'error.wrong_password': 'The user name or the password is wrong.', 'error.not_friend': 'You are not friends (any more): they have to accept you first.', 'error.blocked': 'They do not take messages from you.', 'error.not_member': 'You are not in this group.', 'error.group_full': 'The group is full.', 'error.contacts_full': 'The contact list is full.', 'error.no_request': 'There is no such request any more.', 'error.old_epoch': 'This device was logged out.', 'error.login_disabled': 'This server takes accounts from its own system only.', 'error.owner_must_stay': 'The owner can’t be removed.', 'error.read_only': 'The server takes no changes now.',
} as const;
