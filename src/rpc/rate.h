// Token buckets, one per key, for as many keys as fit: who is forgotten starts again with a full bucket.
#pragma once

#include <algorithm>
#include <cstddef>

#include "rpc/lru_map.h"
#include "runtime/time.h"

namespace hongyan::rpc {

struct Rate {
  double per_second = 0;  // 0: unlimited.
  double burst = 0;
};

template <typename Key>
class RateLimiter {
 public:
  RateLimiter(Rate rate, size_t keys_max) : rate_(rate), buckets_(keys_max) {}

  // Zero when a token was taken; otherwise how long until the next one.
  runtime::Duration take(const Key& key, runtime::Time now) {
    if (rate_.per_second <= 0) return {};
    Bucket* bucket = buckets_.find(key);
    if (bucket == nullptr) bucket = &buckets_.put(key, Bucket{rate_.burst, now});
    const double seconds = std::chrono::duration<double>(now - bucket->at).count();
    bucket->tokens = std::min(rate_.burst, bucket->tokens + seconds * rate_.per_second);
    bucket->at = now;
    if (bucket->tokens >= 1) {
      bucket->tokens -= 1;
      return {};
    }
    const std::chrono::duration<double> missing((1 - bucket->tokens) / rate_.per_second);
    return std::max(runtime::Duration(1), std::chrono::duration_cast<runtime::Duration>(missing));
  }

 private:
  struct Bucket {
    double tokens;
    runtime::Time at;
  };
  Rate rate_;
  LruMap<Key, Bucket> buckets_;
};

}  // namespace hongyan::rpc
