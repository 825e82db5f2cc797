// A backend on Env's disk: every batch is a checksummed record of a write-ahead log, the rows stand in an ordered map
// in memory, and a checkpoint bounds the log. The engine of the simulator (every write goes through Env) and of
// tests; everything must fit in memory.
//
// Files in the directory, format 1, never renumber:
//   log.N         "HYLOG001", then records: length(u32) · crc32c(u32) of the payload · payload
//   checkpoint.N  "HYCHK001", then records as above, one more with an empty payload at the end; it holds all before log.N
// A torn record at the end of the last log is cut off: it was never answered. A bad record anywhere else is corrupt.
#pragma once

#include <memory>
#include <string>

#include "runtime/env/env.h"
#include "store/engine/backend.h"

namespace hongyan::store {

struct LogOptions {
  size_t log_bytes_max = 4 * 1024 * 1024;  // Then a checkpoint: opening reads at most twice this above the data.
};

Result<std::unique_ptr<Backend>> open_log_backend(Env& env, const std::string& directory, LogOptions options = {});

}  // namespace hongyan::store
