// Any bytes as hello, welcome and sealed body: none of them opens, since nobody who feeds them has a key; and nothing that is
// refused spoils the session. The first byte chooses which.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "access/long_link/seal.h"

using namespace hongyan::access;  // NOLINT: one file, one subject.

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const SealKeys keys = {{.id = 1, .secret = std::string(32, 'k')}};
  SealHello hello(1, noise_public_key(keys[0].secret), std::string(32, 'c'));
  switch (data[0] % 3) {
    case 0: {
      const auto made = welcome(keys, bytes, std::string(32, 's'));  // Whoever knows the public key may say hello.
      if (made.ok() && (bytes.size() != 52 || made->body.size() != 51)) std::abort();
      return 0;
    }
    case 1:
      if (hello.finish(bytes).ok()) std::abort();
      return 0;
    default: break;
  }
  auto made = welcome(keys, hello.body(), std::string(32, 's'));
  auto client = hello.finish(made->body);
  const Frame any{.client_version = 1, .cmdid = 401, .seq = 1, .body = std::string(bytes)};
  if (made->session.open(any).ok()) std::abort();
  const Frame good{.client_version = 1, .cmdid = 401, .seq = 1, .body = client->seal(1, 401, 1, bytes)};
  const auto opened = made->session.open(good);
  if (!opened.ok() || *opened != bytes || made->session.open(good).ok()) std::abort();
  return 0;
}
