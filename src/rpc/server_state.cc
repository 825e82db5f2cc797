#include "rpc/server_state.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "rpc/admission.h"
#include "rpc/server_connection.h"

namespace hongyan::rpc {

namespace {

// Calls kept for use again, per method, and the largest body that their messages may keep the memory of.
constexpr size_t k_spare_calls_max = 256;
constexpr size_t k_spare_bytes_max = 16 * 1024;

}  // namespace

ServerState::ServerState(Env& its_env, ServerOptions its_options)
    : env(its_env), scheduler(its_env.scheduler()), tracer(its_env.tracer()), options(std::move(its_options)) {
  in_flight_ring.next = in_flight_ring.previous = &in_flight_ring;
  if (options.admission == nullptr && options.overload_control) {
    own_admission = std::make_unique<DagorAdmission>(env, options.overload);
    options.admission = own_admission.get();
  }
  scratch = std::make_unique_for_overwrite<char[]>(k_scratch_bytes);
  index();
}

ServerState::~ServerState() { CHECK(connections.empty() && in_flight == 0); }

void ServerState::add(const Served& served, const MethodInfo& method) {
  auto target = std::make_unique<ServerTarget>();
  target->served = served;
  target->method = &method;
  target->index = targets.size();
  const auto own = options.limits.find(method.full_name);
  target->limit = ConcurrencyLimit(own == options.limits.end() ? options.limit : own->second);
  // "hongyan.internal.Inbox.Append" is called at "/hongyan.internal.Inbox/Append".
  std::string path = "/" + std::string(method.full_name);
  path[path.rfind('.')] = '/';
  CHECK(by_path.emplace(std::move(path), target.get()).second);
  targets.push_back(std::move(target));
}

void ServerState::index() {
  by_id.assign(std::bit_ceil(2 * targets.size() + 2), {0, nullptr});
  for (const auto& target : targets) {
    const uint32_t id = target->method->id;
    CHECK(find(id) == nullptr);  // Two methods of one id.
    size_t i = id;
    while (by_id[i & (by_id.size() - 1)].second != nullptr) ++i;
    by_id[i & (by_id.size() - 1)] = {id, target.get()};
  }
}

std::unique_ptr<ServerCall> ServerState::take_call(ServerTarget& target) {
  if (!target.spare.empty()) {
    auto one = std::move(target.spare.back());
    target.spare.pop_back();
    return one;
  }
  auto one = std::make_unique<ServerCall>();
  one->target = &target;
  one->request.reset(target.method->request()->New());
  one->response.reset(target.method->response()->New());
  return one;
}

void ServerState::give_back(std::unique_ptr<ServerCall> one) {
  ServerTarget& target = *one->target;
  if (target.spare.size() >= k_spare_calls_max || one->record.request_bytes > k_spare_bytes_max ||
      one->record.answer_bytes > k_spare_bytes_max) {
    return;
  }
  one->request->Clear();
  one->response->Clear();
  one->call.ticket.reset();
  one->coroutine = nullptr;
  target.spare.push_back(std::move(one));
}

void ServerState::enter(ServerCall& one) {
  one.next = &in_flight_ring;
  one.previous = in_flight_ring.previous;
  one.previous->next = one.next->previous = &one;
  ++in_flight;
}

void ServerState::leave(ServerCall& one) {
  one.previous->next = one.next;
  one.next->previous = one.previous;
  --in_flight;
}

std::shared_ptr<const std::string> ServerState::ticket(std::string_view bytes) {
  if (bytes.empty()) return nullptr;
  // A ticket ends with its MAC: its last bytes are as good as a hash.
  auto& kept = tickets[static_cast<unsigned char>(bytes.back()) % tickets.size()];
  if (kept == nullptr || *kept != bytes) kept = std::make_shared<const std::string>(bytes);
  return kept;
}

void ServerState::remove(ServerConnection& connection) {
  alarms.remove(connection);
  const size_t place = connection.place;
  CHECK(connections[place].get() == &connection);
  std::swap(connections[place], connections.back());
  connections[place]->place = place;
  connections.pop_back();
  if (connections.empty()) connections_gone.wake_all();
}

void ServerState::set_alarm(ServerConnection& connection, runtime::Time time) {
  if (time == runtime::k_never) return;
  alarms.set(connection, time);
  if (alarms.first_object() == &connection) earlier_alarm.wake_all();
}

// The body of a coroutine, until it is cancelled.
void ServerState::watch_alarms() {
  for (;;) {
    const Status woken = earlier_alarm.wait(alarms.empty() ? runtime::k_never : alarms.first());
    if (woken.code() == Code::cancelled) return;
    while (!alarms.empty() && alarms.first() <= scheduler.now()) {
      ServerConnection& due = *alarms.first_object();
      alarms.remove(due);
      due.on_alarm();
    }
  }
}

}  // namespace hongyan::rpc
