#include "runtime/os/errors.h"

#include <cerrno>
#include <system_error>

namespace hongyan::runtime {
namespace {

Status with_text(Code code, int error, const std::string& what) {
  return Status(code, what + ": " + std::generic_category().message(error));
}

Code disk_code(int error) {
  switch (error) {
    case ENOENT: return Code::not_found;
    case ENOSPC:
    case EDQUOT: return Code::no_space;
    case EROFS: return Code::read_only;
    case EEXIST:
    case ENOTEMPTY: return Code::exists;
    case EACCES:
    case EPERM: return Code::forbidden;
    default: return Code::io;
  }
}

Code network_code(int error) {
  switch (error) {
    case ECONNRESET:
    case EPIPE:
    case ETIMEDOUT:
    case ENOTCONN: return Code::closed;
    case EADDRINUSE: return Code::busy;
    case EACCES:
    case EPERM: return Code::forbidden;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case EINVAL: return Code::invalid;
    default: return Code::unavailable;
  }
}

}  // namespace

Status disk_error(int error, const std::string& what) {
  return with_text(disk_code(error), error, what);
}
Status network_error(int error, const std::string& what) {
  return with_text(network_code(error), error, what);
}

}  // namespace hongyan::runtime
