// Makes a data directory with accounts, friends and messages in process, through the services that own the rows: as
// the server would, without its sockets. The directory is closed again before a function returns.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/env/env.h"

namespace hongyan::bench {

inline constexpr char k_seed_password[] = "bench-password";

struct SeedAccount {
  std::string user_name;
  int conversations = 0;  // One message each, from a friend each.
  uint64_t uin = 0;       // Filled by seed_accounts.
};

struct SeedPeers {
  std::vector<uint64_t> uins;
};

// The accounts with their friends; friends have no password. All accounts share the same friends.
Result<SeedPeers> seed_accounts(Env& env, const std::string& data, std::vector<SeedAccount>& accounts);

struct SeedMessages {
  uint64_t receiver = 0;
  uint64_t count = 0;      // Spread over the first `conversations` peers in turn, up to 16 of one peer together.
  int conversations = 0;
  int together = 1;
};
Status seed_messages(Env& env, const std::string& data, const SeedPeers& peers, const std::vector<SeedMessages>& work);

}  // namespace hongyan::bench
