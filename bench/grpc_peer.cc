// gRPC C++ in its two fastest forms, as a peer of the measurements: unary calls through the callback interface, and one
// bidirectional stream per connection. A program of its own, so that nothing else links gRPC.
//   hongyan-bench-grpc serve            prints its port
//   hongyan-bench-grpc load unary|stream PORT
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <memory>
#include <mutex>
#include <thread>

#include "bench/grpc_echo.grpc.pb.h"
#include "bench/load.h"

namespace hongyan::bench {

namespace {

using grpc_peer::Echo;
using grpc_peer::EchoReply;
using grpc_peer::EchoRequest;

class Service : public Echo::CallbackService {
  grpc::ServerUnaryReactor* Say(grpc::CallbackServerContext* context, const EchoRequest* request, EchoReply* reply) override {
    reply->set_body(request->body());
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  class StreamReactor : public grpc::ServerBidiReactor<EchoRequest, EchoReply> {
   public:
    StreamReactor() { StartRead(&request_); }
    void OnReadDone(bool ok) override {
      if (!ok) return Finish(grpc::Status::OK);
      reply_.set_body(request_.body());
      StartWrite(&reply_);
    }
    void OnWriteDone(bool ok) override {
      if (ok) StartRead(&request_);
      else Finish(grpc::Status::OK);
    }
    void OnDone() override { delete this; }

   private:
    EchoRequest request_;
    EchoReply reply_;
  };
  grpc::ServerBidiReactor<EchoRequest, EchoReply>* Stream(grpc::CallbackServerContext*) override { return new StreamReactor; }
};

int serve() {
  Service service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  say(std::to_string(port));
  std::string line;
  while (next_question(line)) {
  }
  std::_Exit(0);
}

std::shared_ptr<grpc::Channel> channel_to(int port) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // A connection of its own.
  const auto channel = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials(), arguments);
  channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(5));
  return channel;
}

// What the callbacks of many threads count.
struct Shared {
  explicit Shared(const Load& load) : meter(load) {}
  std::mutex mutex;
  std::condition_variable ended;
  Meter meter;
  int live = 0;
  // Whether to go on.
  bool count(int64_t took_ns) {
    std::lock_guard lock(mutex);
    meter.tick();
    meter.add(1, took_ns);
    return !meter.over();
  }
  void leave() {
    std::lock_guard lock(mutex);
    if (--live == 0) ended.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex);
    ended.wait(lock, [this] { return live == 0; });
  }
};

struct Caller {
  Caller(Echo::Stub& its_stub, Shared& its_shared) : stub(its_stub), shared(its_shared) {
    request.set_body(std::string(k_echo_bytes, 'x'));
  }
  void start(int64_t due = 0) {
    context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    began = due != 0 ? due : now_ns();
    stub.async()->Say(context.get(), &request, &reply, [this, once = due != 0](const grpc::Status& status) {
      if (!status.ok()) std::abort();
      const bool more = shared.count(now_ns() - began);
      Shared& mine = shared;
      if (more && !once) return start();
      if (once) delete this;
      mine.leave();
    });
  }
  Echo::Stub& stub;
  Shared& shared;
  EchoRequest request;
  EchoReply reply;
  std::unique_ptr<grpc::ClientContext> context;
  int64_t began = 0;
};

class Streamer : public grpc::ClientBidiReactor<EchoRequest, EchoReply> {
 public:
  Streamer(Echo::Stub& stub, Shared& shared, int depth) : shared_(shared), to_send_(depth) {
    request_.set_body(std::string(k_echo_bytes, 'x'));
    stub.async()->Stream(&context_, this);
    StartRead(&reply_);
    write_one();
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    const bool more = shared_.count(-1);
    {
      std::lock_guard lock(mutex_);
      if (more) ++to_send_;
      else over_ = true;
    }
    StartRead(&reply_);
    more ? write_one() : finish();
  }
  void OnWriteDone(bool) override {
    {
      std::lock_guard lock(mutex_);
      writing_ = false;
    }
    write_one();
    finish();
  }
  void OnDone(const grpc::Status&) override { shared_.leave(); }

 private:
  void write_one() {
    std::lock_guard lock(mutex_);
    if (writing_ || to_send_ == 0 || over_) return;
    writing_ = true;
    --to_send_;
    StartWrite(&request_);
  }
  void finish() {
    std::lock_guard lock(mutex_);
    if (!over_ || writing_ || finished_) return;
    finished_ = true;
    StartWritesDone();
  }
  std::mutex mutex_;
  Shared& shared_;
  grpc::ClientContext context_;
  EchoRequest request_;
  EchoReply reply_;
  int to_send_;
  bool writing_ = false, over_ = false, finished_ = false;
};

std::string run(int port, const Load& load, bool stream) {
  std::vector<std::unique_ptr<Echo::Stub>> stubs;
  for (int i = 0; i < load.connections; ++i) stubs.push_back(Echo::NewStub(channel_to(port)));
  Shared shared(load);
  std::vector<std::unique_ptr<Caller>> callers;
  std::vector<std::unique_ptr<Streamer>> streamers;
  if (load.rate > 0) {
    const int64_t start = now_ns();
    shared.live = 1;
    for (int64_t n = 0;; ++n) {
      const int64_t due = start + n * 1'000'000'000 / load.rate;
      for (int64_t now = now_ns(); now < due; now = now_ns()) {
        const timespec pause{.tv_sec = 0, .tv_nsec = std::min<int64_t>(due - now, 900'000'000)};
        nanosleep(&pause, nullptr);
      }
      {
        std::lock_guard lock(shared.mutex);
        shared.meter.tick();
        if (shared.meter.over()) break;
        ++shared.live;
      }
      (new Caller(*stubs[0], shared))->start(due);
    }
    shared.leave();
  } else if (stream) {
    shared.live = load.connections;
    for (auto& stub : stubs) streamers.push_back(std::make_unique<Streamer>(*stub, shared, load.depth));
  } else {
    shared.live = load.connections * load.depth;
    for (auto& stub : stubs) {
      for (int i = 0; i < load.depth; ++i) callers.push_back(std::make_unique<Caller>(*stub, shared));
    }
    for (auto& caller : callers) caller->start();
  }
  shared.wait();
  return shared.meter.said();
}

}  // namespace
}  // namespace hongyan::bench

int main(int argc, char** argv) {
  using namespace hongyan::bench;
  if (argc == 2 && std::strcmp(argv[1], "serve") == 0) return serve();
  if (argc != 4 || std::strcmp(argv[1], "load") != 0) return 2;
  say("ready");
  for (std::string line; next_question(line);) {
    say(run(std::atoi(argv[3]), parse_question(line), std::strcmp(argv[2], "stream") == 0));
  }
  std::_Exit(0);
}
