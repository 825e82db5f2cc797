// The addresses of a host name, from the system's resolver (/etc/hosts, DNS). Blocks its thread for
// as long as the resolver likes: call it in Env::pool() only.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace hongyan::runtime {

// Numeric, without port or brackets, each once, sorted. Code::not_found: no such name or no
// address; Code::unavailable: the resolver could not be asked.
Result<std::vector<std::string>> look_up_host(const std::string& host);

}  // namespace hongyan::runtime
