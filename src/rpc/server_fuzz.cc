// Any bytes as what a peer sends to a server, in pieces as the first byte says: frames, HTTP, or neither. Whatever they
// are, the server serves the next connection, and has nothing left of this one when it was closed.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "rpc/server.h"
#include "rpc/testing/echo.rpc.pb.h"
#include "runtime/testing/test_env.h"

namespace hongyan::rpc {
namespace {

using namespace std::chrono_literals;
using testing::EchoFake;
using testing::EchoReply;
using testing::EchoRequest;

constexpr std::string_view k_good_request =
    "POST /hongyan.rpc.testing.Echo/Open HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    "Content-Length: 2\r\n\r\n{}";

class OnePage : public PageHandler {
 public:
  bool page(Call&, const HttpRequest& request, HttpResponse& response) override {
    response.body = request.path();
    return request.path() == "/page";
  }
};

// What comes back within a virtual second of the last byte.
std::string ask(runtime::TestEnv& env, const std::string& address, std::string_view bytes, size_t piece) {
  Call call = env.call();
  const auto stream = env.network().connect(call, address);
  CHECK(stream.ok());
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    Call writing = runtime::background_call(env, 1s);
    if (!(*stream)->write(writing, part).ok()) break;
    env.scheduler().yield();
  }
  std::string heard;
  for (;;) {
    char buffer[4096];
    Call reading = runtime::background_call(env, 1s);
    const auto count = (*stream)->read(reading, buffer);
    if (!count.ok() || *count == 0) break;
    heard.append(buffer, *count);
  }
  (*stream)->close();
  return heard;
}

void serve(std::string_view bytes, size_t piece) {
  runtime::TestEnv env;
  EchoFake fake;
  fake.on_open = [](Call&, const EchoRequest& request) -> Result<EchoReply> {
    EchoReply reply;
    reply.set_body(request.body());
    return reply;
  };
  OnePage pages;
  runtime::run_in_coroutine(env, [&] {
    Server server(env, "h:1", {{&fake, nullptr}},
                  {.pages = &pages, .http_limits = {.header_bytes = 1024, .fields = 20, .body_bytes = 2048}});
    CHECK(server.start().ok());
    (void)ask(env, server.address(), bytes, piece);
    CHECK(ask(env, server.address(), k_good_request, k_good_request.size()).starts_with("HTTP/1.1 200 OK\r\n"));
    // A refused peer has a moment to read why before its connection is closed; in virtual time.
    Call call;
    for (int i = 0; i < 60 && server.connections() > 0; ++i) CHECK(runtime::sleep(call, 1s).ok());
    CHECK(server.connections() == 0 && server.in_flight() == 0);
    call = env.call();
    server.close(call);
  });
}

}  // namespace
}  // namespace hongyan::rpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  // Pieces of a byte are slow: only what is short comes so.
  const size_t piece = data[0] == 0 ? bytes.size() + 1 : std::max<size_t>(data[0], bytes.size() / 64 + 1);
  hongyan::rpc::serve(bytes, piece);
  return 0;
}
