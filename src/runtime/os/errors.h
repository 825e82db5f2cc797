// What the kernel's error numbers mean to us.
#pragma once

#include <string>

#include "base/result.h"

namespace hongyan::runtime {

// "path: No such file or directory" with the code of disk operations: not_found, no_space,
// read_only, busy, exists, forbidden; io for the rest.
Status disk_error(int error, const std::string& what);
// The code of network operations: unavailable for peers that can't be reached, closed for lost
// connections, busy for taken addresses, forbidden, invalid; unavailable for the rest.
Status network_error(int error, const std::string& what);

}  // namespace hongyan::runtime
