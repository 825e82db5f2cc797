#include "data/account/password.h"

#include <sodium.h>

#include <charconv>
#include <optional>

#include "base/bytes.h"
#include "base/check.h"

namespace hongyan::account {

namespace {

constexpr size_t k_salt_bytes = crypto_pwhash_SALTBYTES;
constexpr size_t k_hash_bytes = 32;
constexpr uint64_t k_stored_memory_bytes_max = 256 * 1024 * 1024;  // A damaged row must not take the machine's memory.
constexpr uint64_t k_stored_passes_max = 64;
constexpr std::string_view k_prefix = "$argon2id$v=19$m=";
// Any salt would do: the result is thrown away.
constexpr std::string_view k_pretended_salt = "hongyan-no-name!";
static_assert(k_pretended_salt.size() == k_salt_bytes);

struct Encoded {
  PasswordCost cost;
  std::string salt;
  std::string hash;
};

std::string unpadded(std::string_view bytes) {
  std::string text = to_base64(bytes);
  while (!text.empty() && text.back() == '=') text.pop_back();
  return text;
}

std::string encode(const Encoded& parts) {
  return std::string(k_prefix) + std::to_string(parts.cost.memory_bytes / 1024) + ",t=" +
         std::to_string(parts.cost.passes) + ",p=1$" + unpadded(parts.salt) + "$" + unpadded(parts.hash);
}

bool take(std::string_view& rest, std::string_view literal) {
  if (!rest.starts_with(literal)) return false;
  rest.remove_prefix(literal.size());
  return true;
}
bool take(std::string_view& rest, uint64_t& number) {
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (error != std::errc()) return false;
  rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  return true;
}

std::optional<Encoded> decode(std::string_view text) {
  Encoded out;
  uint64_t kibibytes = 0;
  if (!take(text, k_prefix) || !take(text, kibibytes) || !take(text, ",t=") || !take(text, out.cost.passes) ||
      !take(text, ",p=1$") || kibibytes > k_stored_memory_bytes_max / 1024 ||
      out.cost.passes > k_stored_passes_max) {
    return std::nullopt;
  }
  out.cost.memory_bytes = kibibytes * 1024;
  const size_t dollar = text.find('$');
  if (dollar == std::string_view::npos) return std::nullopt;
  auto salt = from_base64(text.substr(0, dollar));
  auto hash = from_base64(text.substr(dollar + 1));
  if (!salt || !hash || salt->size() != k_salt_bytes || hash->size() != k_hash_bytes) return std::nullopt;
  out.salt = *std::move(salt);
  out.hash = *std::move(hash);
  return out;
}

}  // namespace

class PasswordHasher::Turn {
 public:
  static Result<Turn> take(Call& call, PasswordHasher& hasher) {
    if (hasher.running_ < k_hashes_running_max) {
      ++hasher.running_;
      return Turn(&hasher);
    }
    if (hasher.waiting_ >= k_hashes_waiting_max) {
      return Status(Code::overloaded, "too many passwords wait to be hashed");
    }
    ++hasher.waiting_;
    Status status;
    while (status.ok() && hasher.running_ >= k_hashes_running_max) status = hasher.waiters_.wait(call.deadline);
    --hasher.waiting_;
    if (!status.ok()) {
      // A turn may have been offered to this one meanwhile: pass it on.
      if (hasher.running_ < k_hashes_running_max) hasher.waiters_.wake_one();
      return status;
    }
    ++hasher.running_;
    return Turn(&hasher);
  }
  Turn(Turn&& other) noexcept : hasher_(std::exchange(other.hasher_, nullptr)) {}
  Turn& operator=(Turn&&) = delete;
  ~Turn() {
    if (hasher_ == nullptr) return;
    --hasher_->running_;
    hasher_->waiters_.wake_one();
  }

 private:
  explicit Turn(PasswordHasher* hasher) : hasher_(hasher) {}
  PasswordHasher* hasher_;
};

PasswordHasher::PasswordHasher(Env& env, PasswordCost cost) : env_(env), cost_(cost) {
  CHECK(sodium_init() >= 0);
  CHECK(cost_.memory_bytes >= crypto_pwhash_MEMLIMIT_MIN && cost_.memory_bytes <= k_stored_memory_bytes_max);
  CHECK(cost_.memory_bytes % 1024 == 0);
  CHECK(cost_.passes >= crypto_pwhash_OPSLIMIT_MIN && cost_.passes <= k_stored_passes_max);
}

Result<std::string> PasswordHasher::derive(Call& call, std::string_view password, std::string_view salt,
                                           PasswordCost cost) {
  const Turn turn = TRY(Turn::take(call, *this));
  std::string hash(k_hash_bytes, '\0');
  int failed = 0;
  env_.pool().run([&] {
    failed = crypto_pwhash(reinterpret_cast<unsigned char*>(hash.data()), hash.size(), password.data(),
                           password.size(), reinterpret_cast<const unsigned char*>(salt.data()), cost.passes,
                           cost.memory_bytes, crypto_pwhash_ALG_ARGON2ID13);
  });
  if (failed != 0) return Status(Code::overloaded, "no memory for a password hash");
  return hash;
}

Result<std::string> PasswordHasher::hash(Call& call, std::string_view password) {
  Encoded parts{.cost = cost_, .salt = env_.random_bytes(k_salt_bytes), .hash = {}};
  parts.hash = TRY(derive(call, password, parts.salt, cost_));
  return encode(parts);
}

Result<bool> PasswordHasher::verify(Call& call, std::string_view password, std::string_view encoded) {
  const auto parts = decode(encoded);
  if (!parts) return Status(Code::corrupt, "a password hash does not parse");
  const std::string hash = TRY(derive(call, password, parts->salt, parts->cost));
  return equal_constant_time(hash, parts->hash);
}

Status PasswordHasher::pretend(Call& call, std::string_view password) {
  TRY(derive(call, password, k_pretended_salt, cost_));
  return {};
}

bool FailureLimiter::full(std::string_view key, runtime::Time now, int failures_max) const {
  const auto found = windows_.find(key);
  return found != windows_.end() && now - found->second.start < k_failure_window &&
         found->second.failures >= failures_max;
}

void FailureLimiter::add(const std::string& key, runtime::Time now) {
  const size_t keep_max = windows_.contains(key) ? k_failure_keys_max : k_failure_keys_max - 1;
  drop_old(now, keep_max);
  const auto [found, is_new] = windows_.try_emplace(key);
  if (is_new) {
    found->second = {.start = now, .order = next_order_++, .failures = 0};
    by_age_.emplace(found->second.order, key);
  }
  ++found->second.failures;
}

void FailureLimiter::take_back(const std::string& key) {
  const auto found = windows_.find(key);
  if (found != windows_.end() && --found->second.failures <= 0) forget(key);
}

void FailureLimiter::forget(const std::string& key) {
  const auto found = windows_.find(key);
  if (found == windows_.end()) return;
  by_age_.erase(found->second.order);
  windows_.erase(found);
}

void FailureLimiter::drop_old(runtime::Time now, size_t keep_max) {
  while (!by_age_.empty()) {
    const std::string& oldest = by_age_.begin()->second;
    const bool expired = now - windows_.find(oldest)->second.start >= k_failure_window;
    if (!expired && windows_.size() <= keep_max) return;
    forget(std::string(oldest));
  }
}

}  // namespace hongyan::account
