// What a name stands for at this time: which instances serve it. Pluggable: the channel asks
// resolve() for the whole list and changed() when to ask again; it keeps its last good list when an
// answer fails or is empty, since a directory that is broken must not take the service down.
//
//   list://10.0.0.1:7000,10.0.0.2:7000      for ever
//   file:///etc/hongyan/inbox.instances     one instance a line (instance.h), read every 2 s
//   dns://inbox.internal:7000               every address of the host, asked every 10 s
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "rpc/routing/instance.h"
#include "runtime/env/env.h"

namespace hongyan::rpc {

class Resolver {
 public:
  virtual ~Resolver() = default;
  // Sorted by address.
  virtual Result<std::vector<Instance>> resolve(Call& call) = 0;
  // Returns when the answer may have changed; without a Status of its own it would be asked again
  // at once. `call` has no deadline; cancelled when the channel closes.
  virtual Status changed(Call& call) = 0;
};

// Numeric addresses of a host name, as Network::connect takes them, without port and without
// brackets: "10.0.0.1", "fd00::1". Blocks its thread: called in the pool.
using HostLookup = std::function<Result<std::vector<std::string>>(const std::string& host)>;

// The whole file; Code::too_large beyond `bytes_max`.
Result<std::string> read_text(Call& call, Env& env, const std::string& path, size_t bytes_max);

class ListResolver : public Resolver {
 public:
  explicit ListResolver(std::vector<Instance> instances) : instances_(std::move(instances)) {}
  Result<std::vector<Instance>> resolve(Call&) override { return instances_; }
  Status changed(Call& call) override;

 private:
  std::vector<Instance> instances_;
};

// Written by others by renaming a new file over the old one: a half-written list is a short list.
class FileResolver : public Resolver {
 public:
  static constexpr runtime::Duration k_period = std::chrono::seconds(2);
  FileResolver(Env& env, std::string path) : env_(env), path_(std::move(path)) {}
  Result<std::vector<Instance>> resolve(Call& call) override;
  Status changed(Call& call) override;

 private:
  Env& env_;
  const std::string path_;
  std::string seen_;  // What resolve() read last.
};

class DnsResolver : public Resolver {
 public:
  // Campus directories give names a time to live of 5 to 60 s; the system's resolver hides it.
  static constexpr runtime::Duration k_period = std::chrono::seconds(10);
  // A name with more addresses is a mistake; answers come from outside.
  static constexpr size_t k_addresses_max = 256;
  DnsResolver(Env& env, HostLookup lookup, std::string host, std::string port)
      : env_(env), lookup_(std::move(lookup)), host_(std::move(host)), port_(std::move(port)) {}
  Result<std::vector<Instance>> resolve(Call& call) override;
  Status changed(Call& call) override;

 private:
  Env& env_;
  const HostLookup lookup_;
  const std::string host_;
  const std::string port_;
};

// From a target as above; a bare "host:port" is a list of one. `lookup` may be null: then dns:// is
// Code::unsupported. Code::invalid for what is no target.
Result<std::unique_ptr<Resolver>> make_resolver(Env& env, const std::string& target,
                                                HostLookup lookup = nullptr);

}  // namespace hongyan::rpc
