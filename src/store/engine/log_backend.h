// A backend on Env's disk: every batch is a checksummed record of a write-ahead log, the rows stand in an ordered map
// in memory, and a checkpoint bounds the log. The engine of the simulator (every write goes through Env) and of
// tests; everything must fit in memory.
//
// Files in the directory, format 1, never renumber:
//   log.N         "HYLOG001" · salt(u64) · crc32c(u32) of both, then records
//   checkpoint.N  "HYCHK001" · the same, then records, the last with an empty payload; it holds all before log.N
//   record        length(u32) · sequence(u64), from 1 in each file · crc32c(u32) of salt, length, sequence and payload ·
//                 payload: operations, each space(u8, 0x80: erase) · key(sized) · value(sized, unless erased)
// What a crash tore at the end of the last log was never answered and is cut off. It is told from damage by what
// follows: damage in the middle, with a good record after it, is Code::corrupt, and so is anything in another file.
// The salt is random, so that nobody can put bytes into a row that look like a record.
#pragma once

#include <memory>
#include <string>

#include "runtime/env/env.h"
#include "store/engine/backend.h"

namespace hongyan::store {

struct LogOptions {
  size_t log_bytes_max = 4 * 1024 * 1024;  // Then a checkpoint: opening reads at most this much above the data.
};

// `entropy`: of salts.
Result<std::unique_ptr<Backend>> open_log_backend(runtime::Disk& disk, uint64_t entropy, const std::string& directory,
                                                  LogOptions options = {});

}  // namespace hongyan::store
