// Serves services over a byte stream: one port, any number of connections, calls multiplexed on each.
//
// Every request runs in a coroutine of its own behind its service's interceptor, on a Call rebuilt from the frame
// (deadline, ticket, trace, priority). Answers leave in the order they are ready; those of one turn of the loop leave
// in one write. A request whose time is over before it starts is answered Code::deadline, one above the limit of its
// connection Code::overloaded, an unknown method Code::unsupported, a body that does not parse Code::invalid: none of
// them reaches a handler. Bytes that are no frames close the connection. When a connection is lost, its handlers run
// to their end: what they write was perhaps wanted, and half of it helps nobody.
//
// start() and close() from a coroutine, close() before the destructor.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rpc/service.h"
#include "runtime/coro/sync.h"
#include "runtime/env/env.h"

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
};

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
  size_t connections() const { return connections_.size(); }

 private:
  class Connection;
  struct Target {
    Served served;
    const MethodInfo* method;
  };
  void accept_loop();

  Env& env_;
  std::string address_;
  ServerOptions options_;
  std::map<uint32_t, Target> targets_;
  std::unique_ptr<runtime::Listener> listener_;
  std::list<Connection*> connections_;
  bool closing_ = false;
  runtime::Nursery accepting_;
  runtime::Nursery serving_;
};

}  // namespace hongyan::rpc
