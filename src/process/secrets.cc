#include "process/secrets.h"

#include <algorithm>
#include <charconv>

#include "base/bytes.h"

namespace hongyan::process {

namespace {

constexpr std::string_view k_first_line = "hongyan-secrets 1";
constexpr size_t k_file_bytes_max = 64 * 1024;  // 20 purposes take 2 KiB.
constexpr std::string_view k_server_api = "server_api";
constexpr std::string_view k_seal = "seal.long_link";
constexpr std::string_view k_purposes[] = {
    "client_ticket",    "snapshot",         "audience.account", "audience.device", "audience.contact",
    "audience.inbox",   "audience.group",   "audience.presence", "audience.gate",  "grant.contact",
    "grant.group",      "store.account",    "store.device",
    "store.contact",    "store.group",      "store.inbox",      "store.operator",  k_server_api,
    k_seal,
};

}  // namespace

Result<Secrets> Secrets::load_or_create(Env& env, const std::string& directory) {
  Secrets secrets;
  const std::string path = directory + "/secrets";
  runtime::Disk& disk = env.disk();
  if (disk.exists(path)) {
    auto file = TRY(disk.open(path, runtime::OpenMode::read));
    TRY(secrets.decode(TRY(file->read_at(0, k_file_bytes_max))));
  } else {
    secrets.created_ = true;
  }
  const size_t before = secrets.keys_.size();
  secrets.add_missing(env);
  if (secrets.keys_.size() != before) {
    TRY(secrets.save(env, path));
    TRY(disk.sync_directory(directory));
  }
  secrets.build_rings();
  return secrets;
}

Result<Secrets> Secrets::read(Env& env, const std::string& path) {
  Secrets secrets;
  auto file = env.disk().open(path, runtime::OpenMode::read);
  if (!file.ok()) return Status(file.code(), "keys: " + path + ": " + file.status().detail());
  TRY(secrets.decode(TRY((*file)->read_at(0, k_file_bytes_max))));
  secrets.build_rings();
  return secrets;
}

Result<Secrets> Secrets::load(Env& env, const std::string& path, std::span<const std::string_view> purposes) {
  Secrets secrets = TRY(read(env, path));
  for (const auto& [purpose, keys] : secrets.keys_) {
    if (std::ranges::find(purposes, purpose) == purposes.end()) {
      return Status(Code::invalid, "keys: " + path + " holds '" + purpose + "', which this service must not have");
    }
  }
  for (std::string_view purpose : purposes) {
    if (!secrets.keys_.contains(purpose)) {
      return Status(Code::invalid, "keys: " + path + " lacks '" + std::string(purpose) + "'; write the key files anew");
    }
  }
  return secrets;
}

Status Secrets::write(Env& env, const std::string& path, std::span<const std::string_view> purposes) const {
  Secrets part;
  for (std::string_view purpose : purposes) {
    const auto found = keys_.find(purpose);
    CHECK(found != keys_.end());
    part.keys_.emplace(*found);
  }
  return part.save(env, path);
}

Status Secrets::save(Env& env, const std::string& path) const {
  auto file = TRY(env.disk().open(path + ".new", runtime::OpenMode::create));
  TRY(file->append(encode()));
  TRY(file->sync());
  return env.disk().rename(path + ".new", path);
}

Secrets Secrets::generate(Env& env) {
  Secrets secrets;
  secrets.created_ = true;
  secrets.add_missing(env);
  secrets.build_rings();
  return secrets;
}

const rpc::KeyRing& Secrets::ring(std::string_view purpose) const {
  const auto found = rings_.find(purpose);
  CHECK(found != rings_.end());
  return found->second;
}

rpc::AudienceKeys Secrets::audiences(std::initializer_list<std::string_view> names) const {
  rpc::AudienceKeys keys;
  for (std::string_view name : names) keys.emplace(std::string(name), ring("audience." + std::string(name)));
  return keys;
}

rpc::AudienceKeys Secrets::issuers(std::span<const std::string_view> names) const {
  rpc::AudienceKeys keys;
  for (std::string_view name : names) keys.emplace(std::string(name), ring("grant." + std::string(name)));
  return keys;
}

access::SealKeys Secrets::seal_keys() const {
  access::SealKeys out;
  const auto found = keys_.find(k_seal);
  if (found == keys_.end()) return out;
  for (const rpc::MacKey& key : found->second) out.push_back({.id = key.id, .secret = key.bytes});
  return out;
}

void Secrets::add_missing(Env& env) {
  for (std::string_view purpose : k_purposes) {
    auto& keys = keys_[std::string(purpose)];
    if (keys.empty()) keys.push_back({.id = 1, .bytes = env.random_bytes(32)});
  }
}

void Secrets::build_rings() {
  for (const auto& [purpose, keys] : keys_) rings_.emplace(purpose, rpc::KeyRing(keys));
  if (const auto found = keys_.find(k_server_api); found != keys_.end()) server_api_ = to_hex(found->second.back().bytes);
}

std::string Secrets::encode() const {
  std::string text(k_first_line);
  text += '\n';
  for (const auto& [purpose, keys] : keys_) {
    for (const rpc::MacKey& key : keys) text += purpose + ' ' + std::to_string(key.id) + ' ' + to_hex(key.bytes) + '\n';
  }
  return text;
}

Status Secrets::decode(std::string_view text) {
  int number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto bad = [&] { return Status(Code::corrupt, "secrets: line " + std::to_string(number) + " is damaged"); };
    if (++number == 1) {
      if (line != k_first_line) return Status(Code::unsupported, "secrets: not written by this version");
      continue;
    }
    const size_t first = line.find(' ');
    const size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
    if (second == std::string_view::npos) return bad();
    const std::string_view id_text = line.substr(first + 1, second - first - 1);
    unsigned id = 0;
    const auto [stop, code] = std::from_chars(id_text.begin(), id_text.end(), id);
    const auto bytes = from_hex(line.substr(second + 1));
    if (code != std::errc() || stop != id_text.end() || id == 0 || id > 255 || !bytes || bytes->size() != 32) return bad();
    auto& keys = keys_[std::string(line.substr(0, first))];
    if (keys.size() == 2) return bad();
    keys.push_back({.id = static_cast<uint8_t>(id), .bytes = *bytes});
  }
  if (number == 0) return Status(Code::corrupt, "secrets: the file is empty");
  return {};
}

}  // namespace hongyan::process
