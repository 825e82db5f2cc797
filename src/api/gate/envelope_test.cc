// Goal: only the one known shape of a body passes, and it passes unchanged.
#include "api/gate/envelope.h"

#include <gtest/gtest.h>

#include "model/error_code.h"
#include "model/limits.h"

namespace hongyan::api {
namespace {

Code bad_frame() { return model::as_code(model::ErrorCode::bad_frame); }

TEST(Envelope, gives_back_the_bytes_it_was_made_of) {
  const std::string body("\x0a\x00\xff", 3);
  const std::string bytes = make_envelope(body);
  const Result<Envelope> envelope = parse_envelope(bytes);
  ASSERT_TRUE(envelope.ok());
  EXPECT_EQ(envelope->protobuf, body);
  EXPECT_EQ(bytes.substr(0, 2), std::string("\x01\x00", 2));
}

TEST(Envelope, refuses_every_other_format_and_seal) {
  for (int format = 0; format < 256; ++format) {
    for (int seal = 0; seal < 256; ++seal) {
      const std::string bytes = {static_cast<char>(format), static_cast<char>(seal), 'x'};
      const Result<Envelope> envelope = parse_envelope(bytes);
      EXPECT_EQ(envelope.ok(), format == 1 && seal == 0);
      if (!envelope.ok()) {
        EXPECT_EQ(envelope.code(), bad_frame());
      }
    }
  }
}

TEST(Envelope, refuses_truncated_and_oversized_bodies) {
  EXPECT_EQ(parse_envelope("").code(), bad_frame());
  EXPECT_EQ(parse_envelope("\x01").code(), bad_frame());
  EXPECT_EQ(parse_envelope(make_envelope(std::string(model::k_request_bytes_max, 'x'))).code(), Code::too_large);
}

}  // namespace
}  // namespace hongyan::api
