// What every program of ours does for its operator, from the settings log.*, counters.* and trace.*.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "runtime/config/config.h"
#include "runtime/os/os_env.h"
#include "runtime/trace/span_file.h"

namespace hongyan::process {

// Log, its level and form, and counters; `home` tells this server's counters from those of others on the machine.
std::unique_ptr<Env> make_observed_env(const runtime::Config& config, const std::string& home, runtime::Inherited inherited = {});

// Traces: how many requests are sampled and, with trace.directory, the file there that their spans go to; null without.
// `part` tells the files of workers apart. start() it in a coroutine, stop() it last. Blocks.
Result<std::unique_ptr<runtime::SpanFile>> make_traces(Env& env, const runtime::Config& config, std::string program,
                                                        std::optional<size_t> part = {});

}  // namespace hongyan::process
