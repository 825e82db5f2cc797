// Serves services over a byte stream: one port, any number of connections, calls multiplexed on each.
//
// The first bytes of a connection say what it speaks: frames (frame.h) or HTTP/1.1. Over HTTP every method is
// `POST /package.Service/Method` with a body of application/json or application/x-protobuf; fields and errors stand
// in server_http.h. Both ways share interceptor, deadline, limits, admission and observer. A path that is no method
// goes to the PageHandler, but for one that says what is served (reflection.h).
//
// Every request runs in a coroutine of its own behind its service's interceptor, on a Call rebuilt from the frame
// (deadline, ticket, trace, priority, routing key). It starts at once, where its bytes were read; one that does not
// wait costs no queue and no wake-up. Answers leave in the order they are ready (over HTTP: of the requests); those of
// one turn of the loop leave in one write; at 64 KiB, after 50 us of handlers' time, or when no handler is left that could
// add to them, at once. A connection that keeps handlers busy for 200 us gives the others their turn.
//
// A request whose time is over before it starts is answered Code::deadline, one above a limit or refused by admission
// Code::overloaded, an unknown method Code::unsupported, a body that does not parse Code::invalid: none of them
// reaches a handler. Bytes that are neither protocol close the connection. When a connection is lost, its handlers run
// to their end: what they write was perhaps wanted, and half of it helps nobody.
//
// Memory: a connection without a request under way is an object of a few hundred bytes, with no coroutine and no
// buffer. A peer that does not read its answers is not read from (4 MiB) and closed after 30 s without progress.
//
// start() and close() from a coroutine, close() before the destructor.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "rpc/concurrency_limit.h"
#include "rpc/hooks.h"
#include "rpc/overload/dagor.h"
#include "rpc/service.h"
#include "runtime/coro/sync.h"
#include "runtime/env/env.h"
#include "runtime/tls/tls.h"

namespace hongyan::rpc {

struct Served {
  Service* service = nullptr;
  Interceptor* interceptor = nullptr;  // May be null only for services that have no data.
};

struct ServerOptions {
  // Peers are the processes of one deployment; each keeps one connection.
  size_t connections_max = 4096;
  // Per connection: what one peer may have unanswered (DAGOR samples windows of 2,000 requests).
  size_t in_flight_max = 2000;
  // Calls of one method at a time, by full name ("hongyan.internal.Inbox.Append"); others have `limit`.
  ConcurrencyLimit::Options limit = {};
  std::map<std::string, ConcurrencyLimit::Options, std::less<>> limits = {};
  // None of these is owned. Without an admission the server has its own: overload control as in admission.h.
  Admission* admission = nullptr;
  bool overload_control = true;  // False: everything is admitted, unless an admission is given.
  DagorOptions overload = {};
  Observer* observer = nullptr;  // Null: none.
  PageHandler* pages = nullptr;
  // False: frames only.
  bool http = true;
  HttpLimits http_limits = {};
  // Of calls over HTTP that name no time.
  runtime::Duration http_time = std::chrono::seconds(30);
  // Every connection begins with its handshake; null: plain.
  std::shared_ptr<runtime::TlsServer> tls = nullptr;
};

class ServerConnection;
struct ServerCall;
struct ServerTarget;
struct ServerState;

class Server {
 public:
  // What is served must outlive the server. Two methods of one id: CHECK.
  Server(Env& env, std::string address, std::vector<Served> services, ServerOptions options = {});
  ~Server();
  Status start();                // Code::busy when the address is taken.
  std::string address() const;   // After start(): with the real port.
  // Takes no more requests and says so to every peer, finishes what was taken until the call's deadline, then cancels
  // it. Peers learn which of their requests were never started.
  void close(Call& call);

  // --- for pages and tests ---
  size_t connections() const;
  size_t in_flight() const;
  struct Method {
    const MethodInfo* info;
    uint32_t running;
    uint32_t limit;  // 0: none.
  };
  std::vector<Method> methods() const;
  struct Peer {
    std::string address;
    bool http;
    uint64_t calls;
    size_t in_flight;
    size_t unsent_bytes;
    runtime::Duration quiet;
  };
  std::vector<Peer> peers(size_t count_max) const;

 private:
  void accept_loop();
  void adopt(std::unique_ptr<runtime::Stream> stream);

  std::unique_ptr<ServerState> state_;
  std::string address_;
  std::unique_ptr<runtime::Listener> listener_;
  runtime::Nursery working_;
};

}  // namespace hongyan::rpc
