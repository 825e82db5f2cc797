// The keys of one deployment: made at the first start from Env::random, kept in DATA/secrets (readable by the owner
// only), never in a log, never in the configuration. One key ring per purpose; a ring holds the current key and, after
// a rotation, the one before. A service that runs as a process of its own has a file of the same form with the keys of
// its own purposes only (services.h).
//
// File, never renumber: "hongyan-secrets 1", then one line a key: purpose, id, 64 hex digits. The last key of a purpose
// signs. Lines of purposes that this version does not know are kept. Replaced atomically. Errors: corrupt (names the line), io, no_space.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "access/long_link/seal.h"
#include "rpc/ticket.h"
#include "runtime/env/env.h"

namespace hongyan::process {

class Secrets {
 public:
  // Blocks; before the scheduler runs, or in a Lane.
  static Result<Secrets> load_or_create(Env& env, const std::string& directory);
  // A service's own file: these purposes, no more and no fewer, else invalid. Blocks likewise.
  static Result<Secrets> load(Env& env, const std::string& path, std::span<const std::string_view> purposes);
  // Whatever the file holds: for tools.
  static Result<Secrets> read(Env& env, const std::string& path);
  // Writes such a file. The purposes are among these.
  Status write(Env& env, const std::string& path, std::span<const std::string_view> purposes) const;
  // Fresh ones that are kept nowhere: tests.
  static Secrets generate(Env& env);

  bool has(std::string_view purpose) const { return rings_.contains(purpose); }
  const rpc::KeyRing& ring(std::string_view purpose) const;
  rpc::AudienceKeys audiences(std::initializer_list<std::string_view> names) const;  // "inbox" -> ring "audience.inbox"
  rpc::AudienceKeys issuers(std::span<const std::string_view> names) const;          // "contact" -> ring "grant.contact"
  // The long-lived X25519 keys of sealed links; empty: this process has none.
  access::SealKeys seal_keys() const;
  // What the integrator's server presents: 64 hex digits.
  const std::string& server_api() const { return server_api_; }
  bool created() const { return created_; }

 private:
  void add_missing(Env& env);
  void build_rings();
  std::string encode() const;
  Status save(Env& env, const std::string& path) const;
  Status decode(std::string_view text);

  std::map<std::string, std::vector<rpc::MacKey>, std::less<>> keys_;
  std::map<std::string, rpc::KeyRing, std::less<>> rings_;
  std::string server_api_;
  bool created_ = false;
};

}  // namespace hongyan::process
