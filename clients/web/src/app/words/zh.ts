import type { en } from './en';

export const zh: Record<keyof typeof en, string> = {
  'app.name': '鸿雁',
  'app.tagline': '鸿雁传书，句句必达。',
  'you': '你',
  'list.comma': '、',
  'nav.chats': '消息', 'nav.contacts': '通讯录', 'nav.settings': '设置', 'nav.label': '主导航', 'nav.me': '我的资料',

  'auth.login': '登录', 'auth.register': '注册', 'auth.welcome': '欢迎回来', 'auth.new': '注册新账号',
  'auth.user_name': '用户名', 'auth.password': '密码', 'auth.nickname': '昵称', 'auth.repeat': '再输一次密码',
  'auth.have': '已有账号？', 'auth.none': '还没有账号？', 'auth.user_hint': '3–32 位：a–z、0–9、_ . -，以字母开头',
  'auth.show': '显示密码', 'auth.hide': '隐藏密码', 'auth.mismatch': '两次输入的密码不一致。', 'auth.busy': '请稍候…',
  'strength.0': '太短：至少 8 位', 'strength.1': '容易被猜到', 'strength.2': '一般', 'strength.3': '不错', 'strength.4': '很强',
  'strength.label': '密码强度',

  'net.offline': '当前离线。写下的消息会在恢复连接后发出。', 'net.connecting': '正在连接…',
  'notice.ended': '此设备已被登出，请重新登录。',
  'update.ready': '新版本已就绪。', 'update.reload': '刷新',

  'chats.search': '搜索', 'chats.new': '新建聊天', 'chats.empty': '还没有聊天', 'chats.empty_hint': '添加一位朋友，打个招呼吧。',
  'chats.none': '没有找到', 'chats.list': '聊天列表', 'chats.draft': '[草稿]', 'chats.failed': '未发送', 'chats.pinned': '已置顶', 'chats.muted': '已免打扰',
  'chats.unread': '{count} 条未读', 'chats.menu': '更多',
  'empty.title': '选择一个聊天', 'empty.hint': '从左侧选择，或按 Ctrl K 查找。',
  'empty.first': '离第一次聊天只差一步', 'empty.first_hint': '把用户名告诉朋友，或查找对方的用户名。',

  'new.chat': '和朋友聊天', 'new.friend': '添加朋友', 'new.group': '新建群聊', 'new.notes': '写给自己',
  'notes.title': '写给自己', 'notes.hint': '这里的内容只有你能看到。',

  'add.title': '添加朋友', 'add.placeholder': '用户名或 ID', 'add.find': '查找', 'add.none': '没有找到这个用户。',
  'add.greeting': '验证消息', 'add.greeting_default': '你好，我是{name}。', 'add.send': '发送好友申请', 'add.sent': '申请已发送', 'add.waiting': '等待对方通过',
  'add.mine': '我的用户名', 'add.my_id': '我的 ID', 'add.self': '这是你自己。',

  'contacts.search': '搜索通讯录', 'contacts.requests': '新的朋友', 'contacts.asked': '已发送的申请', 'contacts.friends': '朋友', 'contacts.groups': '群聊', 'contacts.blocked': '已拉黑',
  'contacts.empty': '还没有朋友', 'contacts.empty_hint': '用用户名或 ID 查找朋友。', 'contacts.pick': '选择联系人', 'contacts.pick_hint': '朋友、申请和群聊都在左侧。',
  'contact.accept': '接受', 'contact.refuse': '拒绝', 'contact.message': '发消息', 'contact.remark': '备注名', 'contact.remark_hint': '只有你能看到。',
  'contact.block': '拉黑', 'contact.unblock': '移出黑名单', 'contact.remove': '删除好友', 'contact.add': '加为好友', 'contact.withdraw': '撤回申请',
  'contact.user_name': '用户名', 'contact.id': 'ID', 'contact.signature': '个性签名', 'contact.nickname': '昵称', 'contact.greeting': '验证消息', 'contact.since': '成为好友', 'contact.is_blocked': '已拉黑', 'contact.stranger': '还不是好友', 'contact.details': '资料',
  'contact.remove_title': '删除好友“{name}”？', 'contact.remove_text': '你们将不能互发消息，聊天记录会保留在这里。',
  'contact.block_title': '拉黑“{name}”？', 'contact.block_text': '你将不再收到对方的消息，对方不会得到通知。',
  'contact.refuse_title': '拒绝“{name}”？', 'contact.refuse_text': '对方以后还可以再次申请。',
  'contact.removed': '已删除', 'contact.accepted': '已成为好友', 'contact.accepted_by': '{name}通过了你的好友申请',

  'chat.placeholder': '输入消息', 'chat.send': '发送', 'chat.emoji': '表情', 'chat.hint': 'Enter 发送，Shift Enter 换行', 'chat.info': '聊天详情', 'chat.back': '返回',
  'chat.members': '{count} 位成员', 'chat.typing': '正在输入…', 'chat.typing_who': '{name}正在输入…', 'chat.new': '以下为新消息', 'chat.begin': '聊天从这里开始。', 'chat.loading': '加载中…',
  'chat.older_offline': '恢复连接后会加载更早的消息。', 'chat.to_bottom': '最新消息', 'chat.messages': '消息', 'chat.too_long': '太长：{bytes} / {max} 字节',
  'chat.not_friend': '你们还不是好友。', 'chat.left': '你已不在这个群里。', 'chat.hello': '和{name}打个招呼吧', 'chat.is_blocked': '你已拉黑{name}。',
  'chat.pin': '置顶', 'chat.unpin': '取消置顶', 'chat.mute': '免打扰', 'chat.unmute': '取消免打扰', 'chat.hide': '从列表移除', 'chat.clear': '清空聊天记录',
  'chat.clear_title': '清空聊天记录？', 'chat.clear_text': '此聊天的所有消息将从你的全部设备上消失，对方不受影响。', 'chat.profile': '资料', 'chat.read_all': '标为已读',
  'state.queued': '等待发送', 'state.sending': '发送中', 'state.sent': '已发送', 'state.failed': '未发送', 'state.retry': '重试', 'state.discard': '删除', 'state.old': '一周未能发出，要重试吗？',
  'message.copy': '复制', 'message.copied': '已复制', 'message.forward': '转发', 'message.forward_to': '转发给', 'message.forwarded': '已转发', 'message.recalled': '消息已撤回', 'message.gone': '消息已移除', 'message.unknown': '[消息]', 'message.newer': '当前版本无法显示这类消息。',

  'group.new': '新建群聊', 'group.name': '群名称', 'group.optional': '选填', 'group.create': '创建', 'group.pick': '选择成员', 'group.picked': '已选 {count} 人', 'group.unnamed': '群聊', 'group.members': '群成员', 'group.add': '添加成员', 'group.rename': '修改群名', 'group.leave': '退出群聊', 'group.owner': '群主', 'group.admin': '管理员',
  'group.remove': '移出{name}', 'group.remove_title': '将“{name}”移出群聊？', 'group.remove_text': '对方将不再收到新消息。', 'group.leave_title': '退出“{name}”？', 'group.leave_text': '你将不再收到新消息，已有的记录会保留在这里。', 'group.no_friends': '你的朋友都已在群里，或还没有朋友。', 'group.info': '群聊', 'group.id': '群 ID', 'group.need': '请至少选择一位朋友。',

  'settings.profile': '个人资料', 'settings.appearance': '外观', 'settings.language': '语言', 'settings.theme': '主题', 'settings.auto': '跟随系统', 'settings.light': '浅色', 'settings.dark': '深色',
  'settings.devices': '登录设备', 'settings.security': '安全', 'settings.password': '修改密码', 'settings.logout': '退出登录', 'settings.logout_title': '退出登录？', 'settings.logout_text': '此浏览器中的聊天记录会被删除，服务器仍会保留；尚未发出的消息将丢失。',
  'settings.color': '头像颜色', 'settings.signature': '个性签名', 'settings.save': '保存', 'settings.saved': '已保存', 'settings.this': '当前设备', 'settings.kick': '登出', 'settings.kick_title': '登出“{name}”？', 'settings.kick_text': '该设备需要重新登录。', 'settings.seen': '最近在线 {time}', 'settings.online': '在线',
  'settings.about': '关于', 'settings.version': '版本 {version}', 'settings.shortcuts': '快捷键', 'settings.copy': '复制', 'settings.edit': '编辑资料', 'settings.devices_fail': '暂时无法加载设备列表。', 'settings.current': '当前密码', 'settings.new_password': '新密码', 'settings.password_done': '密码已修改，其他设备已登出。',
  'dialog.cancel': '取消', 'dialog.close': '关闭', 'dialog.ok': '确定', 'dialog.done': '完成',
  'switcher.title': '跳转到', 'switcher.placeholder': '查找聊天、朋友或群', 'switcher.none': '没有找到', 'switcher.messages': '聊天记录',
  'keys.search': '查找聊天', 'keys.send': '发送', 'keys.line': '换行', 'keys.close': '关闭、返回', 'keys.move': '在列表中移动', 'keys.next': '下一个 / 上一个聊天',
  'color.label': '颜色 {number}',
  'day.today': '今天', 'day.yesterday': '昨天',

  'system.friend.accepted': '你们已成为好友，打个招呼吧！', 'system.friend.added': '你们已成为好友，打个招呼吧！',
  'system.group.created': '{actor}创建了群聊', 'system.group.member_added': '{actor}邀请{member}加入群聊', 'system.group.members_added': '{actor}邀请{member}加入群聊',
  'system.group.member_removed': '{actor}将{member}移出了群聊', 'system.group.members_removed': '{actor}将{member}移出了群聊', 'system.group.member_left': '{actor}退出了群聊', 'system.group.renamed': '{actor}将群名修改为“{name}”',

  'error.other': '操作失败（{code}）。', 'error.unavailable': '无法连接服务器，请稍后再试。', 'error.internal': '出了点问题。', 'error.deadline': '服务器响应太慢，请重试。', 'error.overloaded': '服务器繁忙，请稍后再试。', 'error.invalid': '服务器不接受这个操作。', 'error.unauthenticated': '请重新登录。', 'error.forbidden': '你没有权限这样做。', 'error.not_found': '没有找到。', 'error.exists': '已经存在。', 'error.too_large': '太长了。', 'error.no_space': '服务器磁盘已满。', 'error.rate_limited': '操作太频繁，请稍候。', 'error.name_taken': '这个用户名已被使用。', 'error.bad_name': '用户名为 3–32 位 a–z、0–9、_ . -，以字母开头。', 'error.bad_password': '密码至少 8 位。', 'error.wrong_password': '用户名或密码不正确。', 'error.not_friend': '你们（已）不是好友：需要对方先通过你的申请。', 'error.blocked': '对方不接收你的消息。', 'error.not_member': '你不在这个群里。', 'error.group_full': '群已满员。', 'error.contacts_full': '通讯录已满。', 'error.no_request': '这个申请已不存在。', 'error.old_epoch': '此设备已被登出。', 'error.login_disabled': '此服务器只接受自有系统的账号。', 'error.owner_must_stay': '不能移除群主。', 'error.read_only': '服务器暂时不能写入。',
};
