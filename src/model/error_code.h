// Every code a client can get: number, name, class, sentence. docs/errors.md is generated from this table, and a test
// (bundle/errors_test.cc) proves that each is produced and that no handler answers one that is not here. Never renumber;
// 9, 18 and 20 are codes between services (base/result.h) that no client gets.
// Class: 0 ok, 1 retry here, 2 retry later, 3 log in again, 4 go elsewhere, 5 give up, 6 bug.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"

namespace hongyan::model {

#define HONGYAN_ERRORS(X)                                                                                      \
  X(0, ok, 0, "Done.")                                                                                         \
  X(1, cancelled, 1, "The server is closing or the request was given up.")                                     \
  X(2, deadline, 1, "The server did not finish in time; send the same request again.")                         \
  X(3, overloaded, 2, "The server refused the request before doing any work; wait retry_after_ms.")            \
  X(4, unavailable, 2, "A part of the server can't be reached now.")                                           \
  X(5, invalid, 5, "The request is wrong and will never pass; debug says why.")                                \
  X(6, unauthenticated, 3, "The ticket is missing, expired, revoked or forged.")                               \
  X(7, forbidden, 5, "This account has no right to do that.")                                                  \
  X(8, not_found, 5, "There is no such thing.")                                                                \
  X(10, conflict, 1, "Somebody else changed it at the same moment; send the request again.")                   \
  X(11, too_large, 5, "Over a limit of docs/protocol.md.")                                                     \
  X(12, no_space, 2, "The server's disk is full; reading works, sending does not.")                            \
  X(13, corrupt, 6, "Stored data fail their check; the operator must look.")                                   \
  X(14, unsupported, 5, "This server does not know the command, format or version.")                           \
  X(15, internal, 6, "A bug of the server.")                                                                   \
  X(16, io, 2, "The server's disk failed.")                                                                    \
  X(17, unknown_outcome, 1, "The connection broke meanwhile; send the same request again.")                    \
  X(19, read_only, 2, "The server can't write now; reading works.")                                            \
  X(21, rate_limited, 2, "Too many requests; wait retry_after_ms.")                                            \
  X(101, name_taken, 5, "This user name belongs to somebody else.")                                            \
  X(102, bad_name, 5, "A user name is 3 to 32 of a-z, 0-9, '_', '.', '-' and starts with a letter.")           \
  X(103, bad_password, 5, "A password has 8 to 128 bytes.")                                                    \
  X(104, wrong_password, 5, "The user name or the password is wrong.")                                         \
  X(105, not_friend, 5, "You are not friends (any more): the other must accept you first.")                    \
  X(106, blocked, 5, "The other does not take messages from you.")                                             \
  X(107, client_msg_id_reused, 5, "The same client_msg_id was used for another payload.")                      \
  X(108, not_member, 5, "You are not in this group.")                                                          \
  X(109, group_full, 5, "The group has no room for more members.")                                             \
  X(110, contacts_full, 5, "The contact list has no room for more.")                                           \
  X(111, bad_snapshot, 1, "The snapshot is not of this account and device, or is damaged; sync without it.")   \
  X(112, no_request, 5, "There is no friend request to accept.")                                               \
  X(113, old_epoch, 3, "This device has logged in again or was logged out elsewhere.")                         \
  X(114, login_disabled, 5, "This server takes accounts only from its integrator.")                            \
  X(115, bad_frame, 5, "The body's format byte or seal is unknown, or it is no protobuf.")                     \
  X(116, owner_must_stay, 5, "The owner can't be removed.")

enum class ErrorCode : uint32_t {
#define HONGYAN_ENUM(number, name, error_class, text) name = number,
  HONGYAN_ERRORS(HONGYAN_ENUM)
#undef HONGYAN_ENUM
};

struct ErrorInfo {
  uint32_t code;
  std::string_view name;
  uint32_t error_class;
  std::string_view text;
};

std::span<const ErrorInfo> error_table();
// The row of a code; the row of `internal` for one that is not in the table.
const ErrorInfo& error_info(uint32_t code);

inline constexpr Code as_code(ErrorCode code) { return static_cast<Code>(code); }
inline Status error(ErrorCode code, std::string detail = {}) { return Status(as_code(code), std::move(detail)); }

}  // namespace hongyan::model
