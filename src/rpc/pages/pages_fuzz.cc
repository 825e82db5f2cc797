// Any bytes as a page and its query: every answer is finished HTML, JSON or text, and what was asked never becomes
// markup. A "?" ends the path, as in a request.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "rpc/json/json.h"
#include "rpc/pages/pages.h"
#include "runtime/testing/test_env.h"

namespace hongyan::rpc {
namespace {

// Neither counters nor texts of ours have one.
std::string without_markup(std::string text) {
  for (char& c : text) {
    if (std::string_view("<>&\"'").find(c) != std::string_view::npos) c = '#';
  }
  return text;
}

std::string encoded(std::string_view text) {
  static constexpr std::string_view k_digits = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += k_digits[byte >> 4];
    out += k_digits[byte & 15];
  }
  return out;
}

void ask(Pages& pages, std::string_view path, std::string_view query) {
  for (const bool post : {false, true}) {
    const PageAnswer answer = pages.handle({.path = path, .query = query, .post = post, .may_change = post});
    CHECK(answer.status == 200 || answer.status == 400 || answer.status == 404 || answer.status == 405);
    if (answer.content_type == "application/json") CHECK(check_json(answer.body).ok());
    if (answer.content_type.starts_with("text/html")) CHECK(answer.body.find("</html>") != std::string::npos);
  }
  const std::string filter = query_field(query, "filter");
  CHECK(query_field("filter=" + encoded(filter), "filter") == filter);
  const auto tags = [&](const std::string& text) {
    const PageAnswer answer = pages.handle({.path = "/vars", .query = "filter=" + encoded(text)});
    return std::ranges::count(answer.body, '<');
  };
  if (const std::string plain = without_markup(filter); plain != filter) CHECK(tags(filter) == tags(plain));
}

}  // namespace
}  // namespace hongyan::rpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hongyan::rpc;
  const std::string_view target(reinterpret_cast<const char*>(data), size);
  hongyan::runtime::TestEnv env;
  Pages pages(env, {.program = "hongyan-fuzz", .version = "1", .process = 1});
  const size_t mark = std::min(target.find('?'), target.size());
  const std::string_view query = target.substr(std::min(mark + 1, target.size()));
  ask(pages, target.substr(0, mark), query);
  for (const char* path : {"/", "/status", "/vars", "/log", "/methods"}) ask(pages, path, query);
  return 0;
}
