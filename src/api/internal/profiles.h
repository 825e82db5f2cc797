// Fills in the profiles of contacts and members: rows hold uins only, the account service owns the rest.
#pragma once

#include <map>

#include "api/internal/account.rpc.pb.h"
#include "base/result.h"

namespace hongyan::api {

// `people` have uin() and mutable_profile(); those without an account keep an empty profile. <= 500 of them.
template <typename People>
Status fill_profiles(Call& call, internal::AccountClient& account, People& people) {
  if (people.empty()) return {};
  internal::ProfilesRequest request;
  for (const auto& person : people) request.add_uins(person.uin());
  internal::ProfilesResponse found = TRY(account.profiles(call, request));
  std::map<uint64_t, client::Profile*> by_uin;
  for (client::Profile& profile : *found.mutable_profiles()) by_uin[profile.uin()] = &profile;
  for (auto& person : people) {
    if (auto at = by_uin.find(person.uin()); at != by_uin.end()) *person.mutable_profile() = *at->second;
  }
  return {};
}

}  // namespace hongyan::api
