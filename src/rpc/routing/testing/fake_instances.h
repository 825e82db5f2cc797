// Instances of a name for tests, without a network: each has a latency, answers what it is told to,
// and can be taken away in the ways a process or a network is. For *_test.cc only.
#pragma once

#include <google/protobuf/wrappers.pb.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "rpc/routing/routed_channel.h"
#include "runtime/testing/test_env.h"

namespace hongyan::rpc::testing {

using google::protobuf::StringValue;

inline const Message* string_message() { return &StringValue::default_instance(); }

inline MethodInfo test_method(std::string_view name, bool idempotent) {
  MethodInfo method;
  method.service = "Test";
  method.name = name;
  method.full_name = idempotent ? "test.Get" : "test.Pay";
  method.id = idempotent ? 1 : 2;
  method.request = method.response = string_message;
  method.idempotent = idempotent;
  return method;
}

struct FakeInstance {
  enum class Mode {
    up,
    refused,   // Nobody listens: unavailable at once.
    vanished,  // Nothing comes back.
  };
  Mode mode = Mode::up;
  runtime::Duration latency = std::chrono::milliseconds(1);
  Code answer = Code::ok;  // Of calls; questions whether it is there are always answered.
  int handled = 0;         // Calls that reached the handler.
  int asked = 0;           // Questions.
  int links = 0;           // Open connections.
  int waiting = 0;         // Calls under way.
  runtime::WaitList cut;   // Waking it ends calls under way: the process dies.
};

class FakeInstances {
 public:
  explicit FakeInstances(runtime::TestEnv& env) : env_(env) {}
  FakeInstance& operator[](const std::string& address) { return instances_[address]; }

  // The process dies: calls under way end, new ones are refused.
  void kill(const std::string& address) {
    instances_[address].mode = FakeInstance::Mode::refused;
    instances_[address].cut.wake_all();
  }
  void start(const std::string& address) { instances_[address].mode = FakeInstance::Mode::up; }
  int handled() const {
    int all = 0;
    for (const auto& [address, instance] : instances_) all += instance.handled;
    return all;
  }
  int links() const {
    int all = 0;
    for (const auto& [address, instance] : instances_) all += instance.links;
    return all;
  }

  MakeLink make_link() {
    return [this](const std::string& address) {
      return std::unique_ptr<Link>(new FakeLink(env_, instances_[address], address));
    };
  }

 private:
  class FakeLink : public Link {
   public:
    FakeLink(runtime::TestEnv& env, FakeInstance& instance, std::string address)
        : env_(env), instance_(instance), address_(std::move(address)) {
      ++instance_.links;
    }
    ~FakeLink() override { CHECK(closed_ && callers_ == 0); }

    Status call(Call& call, const MethodInfo& method, const Message&, Message& response) override {
      if (closed_) return Status(Code::closed, "closed");
      if (env_.now() >= call.deadline) return Status(Code::deadline, "late");
      ++callers_;
      ++instance_.waiting;
      Status status = handle(call, method, response);
      --instance_.waiting;
      if (--callers_ == 0) idle_.wake_all();
      return status;
    }
    void close() override {
      if (!std::exchange(closed_, true)) --instance_.links;
      instance_.cut.wake_all();  // All that wait look whether it is about them.
      while (callers_ > 0) idle_.wait_uncancellable();
    }

   private:
    Status handle(Call& call, const MethodInfo& method, Message& response) {
      if (instance_.mode == FakeInstance::Mode::refused)
        return Status(Code::unavailable, "refused");
      const bool question = method.request != string_message;
      const bool arrives = instance_.mode == FakeInstance::Mode::up;
      if (arrives) ++(question ? instance_.asked : instance_.handled);
      const runtime::Time done = arrives ? after(env_.now(), instance_.latency) : runtime::k_never;
      const runtime::Time until = std::min(done, call.deadline);
      while (env_.now() < until) {
        const Status waited = instance_.cut.wait(until);
        if (closed_) return Status(Code::closed, "closed");
        if (instance_.mode == FakeInstance::Mode::refused) {
          return Status(Code::unknown_outcome, "cut");
        }
        if (waited.code() == Code::cancelled) return waited;
      }
      if (done > call.deadline) return Status(Code::deadline, "no answer");
      if (question) return Status(Code::unsupported, "no such method");
      if (instance_.answer != Code::ok) return Status(instance_.answer, "as told");
      dynamic_cast<StringValue&>(response).set_value(address_);
      return {};
    }

    runtime::TestEnv& env_;
    FakeInstance& instance_;
    const std::string address_;
    bool closed_ = false;
    int callers_ = 0;
    runtime::WaitList idle_;
  };

  runtime::TestEnv& env_;
  std::map<std::string, FakeInstance> instances_;
};

// A list that a test changes; an error is what resolve() fails with.
class FakeResolver : public Resolver {
 public:
  struct Directory {
    Result<std::vector<Instance>> answer = std::vector<Instance>{};
    uint64_t version = 0;
    int asked = 0;
    runtime::WaitList news;
    void set(Result<std::vector<Instance>> next) {
      answer = std::move(next);
      ++version;
      news.wake_all();
    }
  };
  explicit FakeResolver(Directory& directory) : directory_(directory) {}
  Result<std::vector<Instance>> resolve(Call&) override {
    ++directory_.asked;
    seen_ = directory_.version;
    return directory_.answer;
  }
  Status changed(Call& call) override {
    while (seen_ == directory_.version) TRY(directory_.news.wait(call.deadline));
    return {};
  }

 private:
  Directory& directory_;
  uint64_t seen_ = 0;
};

}  // namespace hongyan::rpc::testing
