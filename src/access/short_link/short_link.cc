#include "access/short_link/short_link.h"

#include "runtime/counters/counters.h"

namespace hongyan::access {

namespace {

constexpr std::string_view k_prefix = "/s/";
constexpr std::string_view k_body_type = "application/octet-stream";
// Less than the web gate keeps a connection, and below 60: mars takes anything else as 5.
constexpr std::string_view k_keep_alive = "timeout=50";

class ShortLinkImpl : public ShortLink {
 public:
  ShortLinkImpl(Env& env, ShortLinkDeps deps, ShortLinkConfig config)
      : links_(env, deps.entry, deps.presence, config.links),
        commands_(env, deps.entry, links_, config.commands),
        requests_(env.counters().counter("hongyan_short_link_requests", "Commands answered")) {}

  void start() override { links_.start(); }
  void stop(Call& call) override {
    stopping_ = true;
    links_.stop(call);
  }
  internal::GateService& gate_service() override { return links_; }

  rpc::HttpResponse respond(const rpc::HttpRequest& request, const api::Origin& origin) override {
    rpc::HttpResponse response;
    response.for_browsers = false;
    if (request.method != "POST") {
      response.status = 405;
      response.fields.emplace_back("Allow", "POST");
      return response;
    }
    requests_.add(1);
    response.content_type = k_body_type;
    if (request.has_token("connection", "keep-alive")) response.fields.emplace_back("Keep-Alive", k_keep_alive);
    if (stopping_) {
      response.body = commands_.refusal({Code::cancelled, "the server is closing"});
      return response;
    }
    Call call;
    const std::string_view path = request.path().substr(k_prefix.size());
    api::Origin from = origin;
    from.traceparent = request.field("traceparent");
    response.body = commands_.by_path(call, path, request.body, from, nullptr);
    return response;
  }

 private:
  api::LinkTable links_;
  api::BodyCommands commands_;
  runtime::Counter& requests_;
  bool stopping_ = false;
};

}  // namespace

std::unique_ptr<ShortLink> make_short_link(Env& env, ShortLinkDeps deps, ShortLinkConfig config) {
  return std::make_unique<ShortLinkImpl>(env, deps, config);
}

}  // namespace hongyan::access
