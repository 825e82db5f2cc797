#include "rpc/pages/wiring.h"

#include <string>

namespace hongyan::rpc {
namespace {

void add_word(std::string& text, std::string_view between, std::string_view word) {
  if (!text.empty()) text += between;
  text += word;
}

std::string policy_text(const MethodPolicy& policy) {
  if (policy.is_public) return "public";
  const std::string_view between = policy.all ? " and " : " or ";
  std::string text;
  if (policy.owner != nullptr) add_word(text, between, "owner");
  if (policy.device != nullptr) add_word(text, between, "device");
  if (!policy.grant_right.empty()) add_word(text, between, "grant " + std::string(policy.grant_right) + " of " + std::string(policy.grant_issuer));
  for (const std::string_view service : policy.services) add_word(text, " or ", "service " + std::string(service));
  return text;
}

}  // namespace

HttpResponse page_response(Call& call, Pages& pages, const HttpRequest& request, bool may_change) {
  HttpResponse response;
  const bool post = request.method == "POST";
  if (!post && request.method != "GET" && request.method != "HEAD") {
    response.status = 405;
    response.fields.emplace_back("Allow", "GET, HEAD, POST");
    return response;
  }
  const std::string_view target = request.target;
  const size_t mark = target.find('?');
  const PageRequest asked{.path = target.substr(0, mark),
                          .query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1),
                          .post = post,
                          .may_change = may_change};
  Call own = call;
  own.deadline = runtime::k_never;
  const bool waits = Pages::is_profile(asked) && request.method == "GET";
  PageAnswer answer = waits ? pages.profile(own, asked) : pages.handle(asked);
  response.status = answer.status;
  response.content_type = std::move(answer.content_type);
  response.body = std::move(answer.body);
  response.fields.emplace_back("Cache-Control", "no-store");
  return response;
}

MethodRow method_row(const MethodInfo& method) {
  MethodRow row{.name = std::string(method.full_name), .policy = policy_text(method.policy)};
  if (method.idempotent) add_word(row.flags, ", ", "idempotent");
  if (!method.command_path.empty()) add_word(row.flags, ", ", "command " + std::string(method.command_path));
  if (method.command_anonymous) add_word(row.flags, ", ", "anonymous");
  return row;
}

}  // namespace hongyan::rpc
