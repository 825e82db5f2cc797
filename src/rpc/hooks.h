// What a server lets others decide and see, without knowing them: who is let in (Admission), what calls did
// (Observer), what a GET that is no method shows (PageHandler). All of them are called on the server's own thread,
// must not wait (a page may), and outlive the server. Each is called for frames and for HTTP alike.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rpc/http/http.h"
#include "rpc/service.h"
#include "runtime/env/env.h"

namespace hongyan::rpc {

// A call as the server sees it before anything is allocated for it. Views end with the function that is given them.
struct Arrival {
  const MethodInfo& method;
  runtime::Priority priority;                  // Within what its ticket allows (Interceptor::priority).
  std::string_view ticket;                     // Unchecked.
  uint64_t routing_key = 0;
  std::optional<runtime::Duration> remaining;  // None: for ever.
  runtime::Time arrived;                       // When its connection was said to be readable.
  runtime::Time now;                           // Asked at.
};

// Decides at parse time, before a message or a coroutine exists: a refusal costs one small frame.
class Admission {
 public:
  struct Verdict {
    Code code = Code::ok;
    std::string_view why = {};  // A literal.
  };
  virtual ~Admission() = default;
  virtual Verdict ask(const Arrival& arrival) = 0;
  // Travels in every answer, refusals too, so that callers stop by themselves.
  virtual uint32_t level() const = 0;
  // Every call that was let in: how long it had waited when its handler started, and how it ended.
  virtual void started(const MethodInfo& method, runtime::Duration queue_wait) = 0;
  virtual void ended(const MethodInfo& method, runtime::Duration took, Code code) = 0;
  // A call that nobody waited for any more when it could have started.
  virtual void late(const Arrival&) {}
};

// One call from its arrival to its answer. Refused calls have started == ended.
struct CallRecord {
  const MethodInfo* method = nullptr;
  size_t index = 0;  // Of the method among all that the server serves, as in Server::methods().
  const Call* call = nullptr;
  runtime::Time arrived{}, started{}, ended{};
  size_t request_bytes = 0;
  size_t answer_bytes = 0;
  Code code = Code::ok;
  bool http = false;
  bool handled = false;              // False: refused before its handler.
  std::string_view detail = {};      // Of a failure.
  // Asked only by those who want it: it may have to be made.
  const runtime::Stream* stream = nullptr;  // Null when the peer has left.
};

class Observer {
 public:
  virtual ~Observer() = default;
  // Before the handler of a call that was let in; may change what the handler's Call carries (a span of its own).
  virtual void on_start(CallRecord& record, Call& call) = 0;
  virtual void on_end(const CallRecord& record) = 0;
};

// What HTTP paths that are no method show.
class PageHandler {
 public:
  virtual ~PageHandler() = default;
  // False: there is no such page. In a coroutine: may wait. `request.body` is within the server's limit.
  virtual bool page(Call& call, const HttpRequest& request, HttpResponse& response) = 0;
};

}  // namespace hongyan::rpc
