// What a server and its connections share. For rpc/server*.cc only.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/alarms.h"
#include "rpc/output_buffer.h"
#include "rpc/server.h"
#include "runtime/trace/tracer.h"

namespace hongyan::rpc {

// A method that is served, with the calls that wait to be used again: their messages keep their memory.
struct ServerTarget {
  Served served;
  const MethodInfo* method = nullptr;
  size_t index = 0;
  ConcurrencyLimit limit;
  std::vector<std::unique_ptr<ServerCall>> spare;
};

// A call from its first byte to its answer. Used again for the next call of its method.
struct ServerCall {
  ServerTarget* target = nullptr;
  ServerConnection* connection = nullptr;
  uint64_t id = 0;     // Of the frame.
  bool json = false;   // The answer's form, over HTTP.
  std::string large_json = {};  // The request's body, if it is parsed in the pool.
  Call call;
  CallRecord record;
  std::unique_ptr<Message> request, response;
  runtime::Coroutine* coroutine = nullptr;  // While it runs.
  std::unique_ptr<runtime::Span> span;      // Null: not sampled.
  ServerCall* next = nullptr;               // Among all calls under way.
  ServerCall* previous = nullptr;
};

struct ServerState {
  ServerState(Env& env, ServerOptions options);
  ~ServerState();

  Env& env;
  runtime::Scheduler& scheduler;
  runtime::Tracer& tracer;
  ServerOptions options;
  std::unique_ptr<Admission> own_admission;
  bool closing = false;

  // Methods by id and by path.
  std::vector<std::unique_ptr<ServerTarget>> targets;
  std::vector<std::pair<uint32_t, ServerTarget*>> by_id;  // Open addressing; the size is a power of two.
  std::map<std::string, ServerTarget*, std::less<>> by_path;
  void add(const Served& served, const MethodInfo& method);
  void index();
  std::string descriptors;  // What rpc/reflection.h says of them, made when first asked for.
  ServerTarget* find(uint32_t id) const {
    for (size_t i = id;; ++i) {
      const auto& [key, target] = by_id[i & (by_id.size() - 1)];
      if (target == nullptr || key == id) return target;
    }
  }

  std::unique_ptr<ServerCall> take_call(ServerTarget& target);
  void give_back(std::unique_ptr<ServerCall> one);
  ServerCall in_flight_ring;  // Its head.
  size_t in_flight = 0;
  void enter(ServerCall& one);
  void leave(ServerCall& one);

  // The same few tickets come with most calls.
  std::shared_ptr<const std::string> ticket(std::string_view bytes);
  std::array<std::shared_ptr<const std::string>, 64> tickets;

  // Connections, in order of their birth.
  std::vector<std::unique_ptr<ServerConnection>> connections;
  void remove(ServerConnection& connection);
  runtime::WaitList connections_gone;

  Alarms<ServerConnection> alarms;
  runtime::WaitList earlier_alarm;
  void set_alarm(ServerConnection& connection, runtime::Time time);
  void watch_alarms();

  // Shared by all connections: one reads at a time.
  std::unique_ptr<char[]> scratch;
  OutputBuffer::Pool blocks;
  // The last reading of the clock in this turn; calls that run one after the other share readings.
  runtime::Time clock{};
  runtime::Time read_clock() { return clock = scheduler.read_clock(); }
};

inline constexpr size_t k_scratch_bytes = 256 * 1024;

}  // namespace hongyan::rpc
