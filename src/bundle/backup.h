// Copies of everything a server keeps, and data directories made from them.
//
// A backup is a directory: the files of a data directory (store, secrets, TLS) and `manifest`, which is written last:
// "hongyan-backup 1", then "<sha256> <bytes> <path>" for each file, then "end <files>". It shares no file with the data
// it was taken from, holds the secrets, and is readable by its owner only. It appears under its name when it is
// complete and durable, or not at all.
//
// A restored directory differs from its backup in one thing: every entity has a new incarnation, so that each device
// learns at its next sync that there is a gap (`reset`), and never takes old positions for new ones. Messages acked
// after the backup are not in it; a device keeps what it has of them.
//
// Nothing is overwritten: both refuse a target that is there (an empty directory may be). Errors: exists, not_found,
// corrupt (a file that is not as the manifest says, named), unsupported (a newer format), io, no_space.
#pragma once

#include <string>

#include "runtime/call.h"
#include "runtime/env/env.h"
#include "store/engine/open.h"

namespace hongyan::bundle {

inline constexpr char k_backup_manifest[] = "manifest";

// In a coroutine. The store may serve meanwhile: the backup holds what was durable at one moment of this call.
Status make_backup(Call& call, Env& env, store::OpenStore& store, const std::string& data, const std::string& to);

// Blocks: without a scheduler, or in a Lane.
Status restore_backup(Env& env, const std::string& from, const std::string& data);

}  // namespace hongyan::bundle
