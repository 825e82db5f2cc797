#include "rpc/routing/resolver.h"

#include <algorithm>
#include <utility>

#include "runtime/coro/sync.h"
#include "runtime/env/files.h"

namespace hongyan::rpc {

Status ListResolver::changed(Call& call) {
  runtime::WaitList never;
  return never.wait(call.deadline);
}

Result<std::string> read_text(Call& call, Env& env, const std::string& path, size_t bytes_max) {
  const auto file = TRY(env.files().open(call, path, runtime::OpenMode::read));
  std::string text = TRY(file->read_at(call, 0, bytes_max + 1));  // One byte more than allowed, so that too much is seen.
  if (text.size() > bytes_max) return Status(Code::too_large, path + " is too large");
  return text;
}

Result<std::vector<Instance>> FileResolver::resolve(Call& call) {
  seen_ = TRY(read_text(call, env_, path_, k_instances_text_bytes_max));
  auto instances = parse_instances(seen_);
  if (!instances.ok()) return Status(instances.code(), path_ + ": " + instances.status().detail());
  return instances;
}

Status FileResolver::changed(Call& call) {
  for (;;) {
    TRY(runtime::sleep(call, k_period));
    const auto text = read_text(call, env_, path_, k_instances_text_bytes_max);
    // A file that is gone is no news; one that could not be read before may be readable now.
    if (text.ok() && *text != seen_) return {};
  }
}

Result<std::vector<Instance>> DnsResolver::resolve(Call&) {
  Result<std::vector<std::string>> hosts = Status(Code::internal, "not looked up");
  env_.pool().run([&] { hosts = lookup_(host_); });
  std::string list;
  std::vector<std::string> addresses = TRY(std::move(hosts));
  std::ranges::sort(addresses);
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  if (addresses.size() > k_addresses_max) {
    return Status(Code::too_large, host_ + " has more than 256 addresses");
  }
  for (const std::string& address : addresses) {
    if (address.size() > k_instance_address_bytes_max) return Status(Code::invalid, "no address");
    const bool six = address.find(':') != std::string::npos;
    list += (six ? "[" + address + "]" : address) + ":" + port_ + ",";
  }
  return parse_address_list(list);
}

Status DnsResolver::changed(Call& call) { return runtime::sleep(call, k_period); }

Result<std::unique_ptr<Resolver>> make_resolver(Env& env, const std::string& target,
                                                HostLookup lookup) {
  const auto after = [&](std::string_view prefix) { return target.substr(prefix.size()); };
  if (target.starts_with("file://")) {
    const std::string path = after("file://");
    if (path.size() < 2 || path[0] != '/') {
      return Status(Code::invalid, target + ": file:// needs an absolute path");
    }
    return std::unique_ptr<Resolver>(new FileResolver(env, path));
  }
  if (target.starts_with("dns://")) {
    const auto parsed = parse_address_list(after("dns://"));
    if (!parsed.ok() || parsed->size() != 1) {
      return Status(Code::invalid, target + ": should be like dns://inbox.internal:7000");
    }
    if (lookup == nullptr)
      return Status(Code::unsupported, target + ": no names are looked up here");
    const std::string& address = (*parsed)[0].address;
    const size_t colon = address.rfind(':');
    return std::unique_ptr<Resolver>(new DnsResolver(
        env, std::move(lookup), address.substr(0, colon), address.substr(colon + 1)));
  }
  if (!target.starts_with("list://") && target.find("://") != std::string::npos) {
    return Status(Code::invalid, target + ": targets begin with list://, file:// or dns://");
  }
  auto instances = parse_address_list(target.starts_with("list://") ? after("list://") : target);
  if (!instances.ok()) return Status(Code::invalid, target + ": " + instances.status().detail());
  if (instances->empty()) return Status(Code::invalid, target + ": no address is given");
  return std::unique_ptr<Resolver>(new ListResolver(std::move(instances).value()));
}

}  // namespace hongyan::rpc
