// The admission that every server has unless it is given another: overload control by queueing time and priority
// (overload/dagor.h), for this instance alone. Asked before a message or a coroutine exists; a call that is refused is
// Code::overloaded in one frame, with the level as in every answer, and counts as one that has queued. So does a call
// whose time was over before it started.
#pragma once

#include "rpc/hooks.h"
#include "rpc/overload/dagor.h"
#include "runtime/counters/counters.h"

namespace hongyan::rpc {

class DagorAdmission : public Admission {
 public:
  explicit DagorAdmission(Env& env, DagorOptions options = {});
  Verdict ask(const Arrival& arrival) override;
  uint32_t level() const override { return dagor_.level(); }
  void started(const MethodInfo& method, runtime::Duration queue_wait) override;
  void ended(const MethodInfo&, runtime::Duration, Code) override {}
  void late(const Arrival& arrival) override;

  const Dagor::Window& last() const { return dagor_.last(); }

 private:
  Dagor dagor_;
  runtime::Time now_{};  // When the last call was asked about: it starts at once.
  runtime::Counter& refused_;
  runtime::Counter& late_;
};

}  // namespace hongyan::rpc
