#include "runtime/env/env.h"

#include <cstring>

#include "runtime/env/files.h"
#include "runtime/trace/tracer.h"

namespace hongyan::runtime {

Env::Env() = default;
Env::~Env() = default;

Tracer& Env::tracer() {
  if (tracer_ == nullptr) tracer_ = std::make_unique<Tracer>(*this);
  return *tracer_;
}

uint64_t Env::random_u64() {
  char bytes[8];
  random(bytes);
  uint64_t value = 0;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

Files& Env::files() {
  if (files_ == nullptr) files_ = make_disk_files(*this);
  return *files_;
}

std::string Env::random_bytes(size_t count) {
  std::string bytes(count, '\0');
  random(bytes);
  return bytes;
}

}  // namespace hongyan::runtime
