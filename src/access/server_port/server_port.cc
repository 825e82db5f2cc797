#include "access/server_port/server_port.h"

#include <set>
#include <vector>

#include "access/server_port/integrator_api.h"
#include "api/gate/entry.h"
#include "base/check.h"
#include "runtime/coro/sync.h"
#include "runtime/log/log.h"

namespace hongyan::access {

using runtime::Time;

namespace {

constexpr size_t k_read_bytes = 4096;
constexpr runtime::Duration k_accept_pause = std::chrono::milliseconds(100);  // Out of descriptors: others must close first.

class ServerPortImpl : public ServerPort {
 public:
  ServerPortImpl(Env& env, ServerPortDeps deps, ServerPortConfig config)
      : env_(env), config_(config), api_(env, std::move(deps), config), nursery_(env.scheduler()) {}

  Status start() override {
    if (!api::is_loopback(config_.address)) return Status(Code::invalid, "server_api: " + config_.address + " is not loopback");
    listener_ = TRY(env_.network().listen(config_.address));
    nursery_.spawn("server port accept", [this] { accept_all(); });
    return {};
  }

  std::string address() const override { return listener_->address(); }

  void stop(Call& call) override {
    stopping_ = true;
    if (listener_ != nullptr) listener_->close();
    for (runtime::Stream* stream : waiting_) stream->close();
    if (!nursery_.join(call).ok()) env_.log().warning("server port: requests cut at the end");
    nursery_.cancel_and_join();
  }

 private:
  void accept_all() {
    for (;;) {
      Call call;
      Result<std::unique_ptr<runtime::Stream>> stream = listener_->accept(call);
      if (!stream.ok()) {
        if (stream.code() == Code::closed || stream.code() == Code::cancelled) return;
        env_.log().warning("server port: accept: {}", stream.status().detail());
        if (!runtime::sleep(call, k_accept_pause).ok()) return;
        continue;
      }
      if (connections_ >= config_.connections_max) continue;  // Closed.
      ++connections_;
      // A std::function must be copyable; the stream has one owner.
      const std::shared_ptr<runtime::Stream> shared = std::move(*stream);
      nursery_.spawn("server port connection", [this, shared] {
        serve(*shared);
        --connections_;
      });
    }
  }

  void serve(runtime::Stream& stream) {
    rpc::HttpParser parser(config_.http);
    while (read_request(stream, parser)) {
      const rpc::HttpRequest request = parser.take();
      const rpc::HttpResponse response = api_.respond(request);
      const bool keep = request.keep_alive && !stopping_;
      if (!write(stream, rpc::http_head(response, keep) + (request.method == "HEAD" ? "" : response.body)) || !keep) return;
    }
  }

  bool read_request(runtime::Stream& stream, rpc::HttpParser& parser) {
    std::vector<char> buffer(k_read_bytes);
    Time limit = runtime::after(env_.now(), parser.idle() ? config_.idle_limit : config_.read_limit);
    while (!parser.complete()) {
      if (parser.error() != 0) return refuse(stream, parser.error());
      if (parser.wants_continue()) {
        parser.continued();
        if (!write(stream, "HTTP/1.1 100 Continue\r\n\r\n")) return false;
      }
      const bool idle = parser.idle();
      if (idle && stopping_) return false;
      Call call;
      call.deadline = limit;
      if (idle) waiting_.insert(&stream);
      const Result<size_t> count = stream.read(call, buffer);
      waiting_.erase(&stream);
      if (!count.ok() && count.code() == Code::deadline && !idle) return refuse(stream, 408);
      if (!count.ok() || *count == 0) return false;
      if (idle) limit = runtime::after(env_.now(), config_.read_limit);
      parser.feed(std::string_view(buffer.data(), *count));
    }
    return true;
  }

  bool refuse(runtime::Stream& stream, int status) {
    rpc::HttpResponse response;
    response.status = status;
    response.content_type = "text/plain; charset=utf-8";
    response.for_browsers = false;
    response.body = std::string(rpc::http_reason(status)) + "\n";
    (void)write(stream, rpc::http_head(response, false) + response.body);
    return false;
  }

  bool write(runtime::Stream& stream, std::string_view bytes) {
    Call call = runtime::background_call(env_, config_.write_limit);
    return stream.write(call, bytes).ok();
  }

  Env& env_;
  ServerPortConfig config_;
  IntegratorApi api_;
  std::unique_ptr<runtime::Listener> listener_;
  std::set<runtime::Stream*> waiting_;  // For the first byte of a request.
  size_t connections_ = 0;
  bool stopping_ = false;
  runtime::Nursery nursery_;
};

}  // namespace

std::unique_ptr<ServerPort> make_server_port(Env& env, ServerPortDeps deps, ServerPortConfig config) {
  return std::make_unique<ServerPortImpl>(env, std::move(deps), std::move(config));
}

}  // namespace hongyan::access
