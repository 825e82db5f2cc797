// logic/message_sync: one answer with everything that is new for this device, whatever the number of chats. Account
// and contacts come first (they are small), then the inbox's log as far as the answer has room; `more` with a
// snapshot valid at the cut. The snapshot a client presents is its acknowledgement: it becomes the device's cursor.
// Errors: bad_snapshot, and the general ones. The answer is <= 256 KiB, one row more at the most.
#pragma once

#include <memory>

#include "api/client/sync.rpc.pb.h"
#include "api/internal/account.rpc.pb.h"
#include "api/internal/contact.rpc.pb.h"
#include "api/internal/device.rpc.pb.h"
#include "api/internal/inbox.rpc.pb.h"
#include "rpc/ticket.h"
#include "runtime/env/env.h"

namespace hongyan::logic {

struct MessageSyncDeps {
  internal::AccountClient account;
  internal::ContactClient contact;
  internal::InboxClient inbox;
  internal::DeviceClient device;
  rpc::KeyRing snapshot_keys;
};

std::unique_ptr<client::MessageSyncService> make_message_sync(Env& env, MessageSyncDeps deps);

}  // namespace hongyan::logic
