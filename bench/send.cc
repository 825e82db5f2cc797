// One to one, as fast as they can: each of 64 senders has one message under way; its receiver is online, is rung, and
// syncs. Acked means durable in both inboxes. A bare log with as many writers takes turns with it on the same disk.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "bench/append_log.h"
#include "bench/link.h"
#include "bench/options.h"
#include "runtime/coro/run.h"
#include "runtime/coro/sync.h"
#include "store/engine/rocks_backend.h"

namespace hongyan::bench {

namespace {

constexpr size_t k_text_bytes = 40;
constexpr size_t k_number_bytes = 9;
// What the two inboxes' rows of one message take in the store's own log, so that both logs write alike.
constexpr size_t k_log_record_bytes = 512;
constexpr auto k_between_looks = std::chrono::milliseconds(100);
constexpr int k_looks_max = 300;
constexpr double k_rest_cpu_seconds = 0.011;  // The kernel counts in hundredths.

struct Pair {
  std::unique_ptr<Device> sender, receiver;
  client::SendRequest request;  // What is the same in all of its messages is written once.
};

// One run of sending; times by the number a message carries.
struct Flight {
  std::vector<int64_t> sent_at_us;
  size_t acked = 0, arrived = 0;
  Samples ack, arrival;
  Status failure;
};

class SendBench {
 public:
  SendBench(Env& env, const Options& options, Report& report)
      : env_(env), options_(options), report_(report), directory_(options.directory), nursery_(env.scheduler()) {}

  Status run() {
    server_ = std::make_unique<ServerProcess>(directory_.path() + "/data");
    TRY(server_->start());
    transport_ = make_transport(env_, *server_, options_.transport);
    TRY(in_coroutine([&] { return prepare(); }));
    const int turns = options_.quick ? 1 : std::max(1, static_cast<int>(options_.seconds / 2));
    const double slice = options_.quick ? 0.3 : options_.seconds / 2 / turns;
    for (int turn = 0; turn < turns; ++turn) {
      TRY(let_server_rest());
      LogResult log = run_append_log(directory_.path(), options_.pairs, k_log_record_bytes, slice);
      log_.latency.add_all(log.latency);
      log_.seconds += log.seconds;
      TRY(in_coroutine([&] { return send_for(slice); }));
    }
    memory_mib_ = server_->memory_mib();
    ending_ = true;
    runtime::run_to_end(env_.scheduler(), "end", [&] { nursery_.cancel_and_join(); });
    pairs_.clear();
    TRY(server_->stop());
    return tell();
  }

 private:
  Status in_coroutine(const std::function<Status()>& body) {
    Status status;
    runtime::run_to_end(env_.scheduler(), "bench", [&] { status = body(); });
    return status;
  }

  Status prepare() {
    Call call = runtime::background_call(env_, std::chrono::minutes(2));
    for (int i = 0; i < options_.pairs; ++i) {
      Pair pair;
      pair.sender = std::make_unique<Device>(env_, *transport_, fmt::format("sender{}", i), "bench-password");
      pair.receiver = std::make_unique<Device>(env_, *transport_, fmt::format("receiver{}", i), "bench-password");
      for (Device* one : {pair.sender.get(), pair.receiver.get()}) {
        TRY(one->connect(call));
        TRY(one->sign_up(call));
      }
      TRY(befriend(call, pair));
      for (Device* one : {pair.sender.get(), pair.receiver.get()}) {
        TRY(one->go_online(call));
        TRY(one->sync(call, [](const client::Entry&) {}));
      }
      begin_request(pair);
      pairs_.push_back(std::move(pair));
    }
    for (Pair& pair : pairs_) {
      nursery_.spawn("receiver", [this, &pair] { receive(*pair.receiver); });
    }
    return {};
  }

  // What the server does when nobody asks (compaction) must not slow the log down.
  Status let_server_rest() {
    for (int look = 0; look < k_looks_max; ++look) {
      const double before = server_->cpu_seconds();
      std::this_thread::sleep_for(k_between_looks);
      if (server_->cpu_seconds() - before <= k_rest_cpu_seconds) return {};
    }
    return Status(Code::deadline, "the server does not come to rest");
  }

  Status befriend(Call& call, Pair& pair) {
    client::AddFriendRequest add;
    *add.mutable_base() = pair.sender->base();
    add.set_uin(pair.receiver->uin());
    client::AddFriendResponse added;
    TRY(pair.sender->link().call(call, "friend/add", add, added));
    client::AcceptFriendRequest accept;
    *accept.mutable_base() = pair.receiver->base();
    accept.set_uin(pair.sender->uin());
    client::AcceptFriendResponse accepted;
    return pair.receiver->link().call(call, "friend/accept", accept, accepted);
  }

  void receive(Device& device) {
    for (;;) {
      Call call = runtime::background_call(env_, std::chrono::minutes(10));
      Status status = device.link().next_ring(call);
      if (status.ok()) {
        status = device.sync(call, [&](const client::Entry& entry) {
          if (!entry.has_message()) return;
          const size_t number = std::stoul(entry.message().content().substr(0, k_number_bytes));
          flight_.arrival.add(now_us() - flight_.sent_at_us.at(number));
          ++flight_.arrived;
          arrivals_.wake_all();
        }).status();
      }
      if (status.ok()) continue;
      if (!ending_) flight_.failure = status;
      arrivals_.wake_all();
      return;
    }
  }

  Status send_for(double seconds) {
    const double cpu = server_->cpu_seconds(), own = own_cpu_seconds();
    const int64_t start = now_us(), end = start + static_cast<int64_t>(seconds * 1e6);
    runtime::Nursery senders(env_.scheduler());
    for (Pair& pair : pairs_) {
      senders.spawn("sender", [&, this] {
        while (now_us() < end && flight_.failure.ok()) {
          if (const Status status = send_one(pair); !status.ok()) flight_.failure = status;
        }
      });
    }
    Call call = runtime::background_call(env_, std::chrono::minutes(2));
    TRY(senders.join(call));
    seconds_ += static_cast<double>(now_us() - start) / 1e6;
    while (flight_.failure.ok() && flight_.arrived < flight_.acked) TRY(arrivals_.wait(call.deadline));
    server_cpu_ += server_->cpu_seconds() - cpu;
    own_cpu_ += own_cpu_seconds() - own;
    return flight_.failure;
  }

  static void begin_request(Pair& pair) {
    *pair.request.mutable_base() = pair.sender->base();
    client::Message& message = *pair.request.add_messages();
    message.mutable_conversation()->set_type(1);
    message.mutable_conversation()->set_id(pair.receiver->uin());
    message.set_kind(1);
  }

  Status send_one(Pair& pair) {
    client::Message& message = *pair.request.mutable_messages(0);
    message.set_client_msg_id(random_uuid());
    message.set_content(text(flight_.sent_at_us.size()));
    message.set_digest(message.content());
    message.set_client_time_ms(env_.utc_ms());
    const int64_t before = now_us();
    flight_.sent_at_us.push_back(before);
    client::SendResponse response;
    Call call = runtime::background_call(env_, std::chrono::seconds(30));
    TRY(pair.sender->link().call(call, "send", pair.request, response));
    if (response.sent_size() != 1 || response.sent(0).code() != 0) return Status(Code::internal, "a send was refused");
    flight_.ack.add(now_us() - before);
    ++flight_.acked;
    return {};
  }

  std::string random_uuid() {
    std::string text(36, '-');
    size_t at = 0;
    for (const uint64_t half : {chance_(), chance_()}) {
      for (int i = 0; i < 16; ++i) {
        if (at == 8 || at == 13 || at == 18 || at == 23) ++at;
        text[at++] = "0123456789abcdef"[half >> (4 * i) & 15];
      }
    }
    return text;
  }

  // The number, then letters that do not compress much.
  std::string text(size_t number) {
    std::string out(k_text_bytes, '0');
    for (size_t at = k_number_bytes; at-- > 0; number /= 10) out[at] = static_cast<char>('0' + number % 10);
    for (size_t at = k_number_bytes; at < k_text_bytes; ++at) out[at] = static_cast<char>('a' + chance_() % 26);
    return out;
  }

  Status tell() {
    const uint64_t before = file_bytes(directory_.path() + "/data/store");
    const uint64_t disk = TRY(store::compact_rocks(env_, directory_.path() + "/data/store/rocks", {}));
    const double messages = static_cast<double>(flight_.acked);
    const auto beside = [](double value) { return std::vector<std::pair<std::string, double>>{{"log", value}}; };
    report_.add({.test = "messages acked", .unit = "/s", .ours = messages / seconds_,
                 .peers = beside(static_cast<double>(log_.latency.count()) / log_.seconds)});
    report_.add({.test = "send to ack p50", .unit = "ms", .ours = flight_.ack.quantile_ms(0.5), .peers = beside(log_.latency.quantile_ms(0.5))});
    report_.add({.test = "send to ack p99", .unit = "ms", .ours = flight_.ack.quantile_ms(0.99),
                 .peers = beside(log_.latency.quantile_ms(0.99)), .ratio_max = 3});
    report_.add({.test = "send to ack max", .unit = "ms", .ours = flight_.ack.max_ms(), .peers = beside(log_.latency.max_ms())});
    report_.add({.test = "send to arrival p50", .unit = "ms", .ours = flight_.arrival.quantile_ms(0.5), .peers = beside(log_.latency.quantile_ms(0.5))});
    report_.add({.test = "send to arrival p99", .unit = "ms", .ours = flight_.arrival.quantile_ms(0.99), .peers = beside(log_.latency.quantile_ms(0.99))});
    report_.add({.test = "send to arrival max", .unit = "ms", .ours = flight_.arrival.max_ms(), .peers = beside(log_.latency.max_ms())});
    report_.add({.test = "CPU of the server for a message delivered", .unit = "us", .ours = server_cpu_ * 1e6 / messages});
    report_.add({.test = "cores the server used", .unit = "cores", .ours = server_cpu_ / seconds_});
    report_.add({.test = "memory of the server (RSS)", .unit = "MiB", .ours = memory_mib_});
    report_.add({.test = "disk for a message, both inboxes, compacted", .unit = "bytes",
                 .ours = static_cast<double>(disk) / messages,
                 .peers = {{"record of the log", static_cast<double>(k_log_record_bytes)}}, .ours_max = 400});
    report_.note(fmt::format("{} messages of {} characters from {} senders to {} receivers online; transport: {}; all arrived.",
                             flight_.acked, k_text_bytes, options_.pairs, options_.pairs, transport_->name()));
    report_.note(fmt::format("The load generator used {:.2f} cores of the same machine. Before compaction the files took {:.0f} "
                             "bytes a message; the accounts' own rows are counted with the messages.",
                             own_cpu_ / seconds_, static_cast<double>(before) / messages));
    if (flight_.arrived != flight_.acked) return Status(Code::internal, "not every message arrived exactly once");
    return {};
  }

  Env& env_;
  const Options& options_;
  Report& report_;
  TemporaryDirectory directory_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<Transport> transport_;
  std::vector<Pair> pairs_;
  Flight flight_;
  LogResult log_;
  double seconds_ = 0, server_cpu_ = 0, own_cpu_ = 0, memory_mib_ = 0;
  bool ending_ = false;
  std::mt19937_64 chance_{env_.random_u64()};  // A system call for every message would be the load's, not the server's.
  runtime::WaitList arrivals_;
  runtime::Nursery nursery_;
};

}  // namespace

Status bench_send(Env& env, const Options& options, Report& report) { return SendBench(env, options, report).run(); }

}  // namespace hongyan::bench
