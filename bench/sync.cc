// Catching up after a restart with a cold cache, with and without a long past, and the first login of a new device.
// Before each round the server is stopped, 50 messages are put into an inbox, and the kernel's copies of the files are
// dropped; then that account's device asks once, and nobody else. The two accounts take turns.
#include <fmt/format.h>

#include <memory>
#include <vector>

#include "bench/link.h"
#include "bench/options.h"
#include "bench/seed.h"
#include "runtime/coro/run.h"

namespace hongyan::bench {

namespace {

constexpr int k_news = 50;

// What one client saw of its catching up.
struct Seen {
  Samples time;
  uint64_t frames_out_max = 0, frames_in_max = 0, bytes_out_max = 0, bytes_in_max = 0;
};

class SyncBench {
 public:
  SyncBench(Env& env, const Options& options, Report& report)
      : env_(env), options_(options), report_(report), directory_(options.directory), data_(directory_.path() + "/data"),
        server_(data_), rounds_(options.quick ? 2 : options.rounds), older_(options.quick ? 2'000 : options.full ? 1'000'000 : 100'000) {
    const int many = options.quick ? 60 : 1000;
    accounts_ = {{.user_name = "short-past", .conversations = many},
                 {.user_name = "long-past", .conversations = many},
                 {.user_name = "newcomer", .conversations = options.quick ? 30 : 300}};
  }

  Status run() {
    TRY(seed());
    TRY(server_.start());
    transport_ = make_transport(env_, server_, options_.transport);
    TRY(in_coroutine([&] { return first_logins(); }));
    for (int round = 0; round < rounds_; ++round) TRY(catch_up(round));
    tell();
    return {};
  }

 private:
  Status in_coroutine(const std::function<Status()>& body) {
    Status status;
    runtime::run_to_end(env_.scheduler(), "bench", [&] { status = body(); });
    return status;
  }

  Status seed() {
    const int64_t start = now_us();
    peers_ = TRY(seed_accounts(env_, data_, accounts_));
    std::vector<SeedMessages> work;
    for (const SeedAccount& account : accounts_) {
      work.push_back({.receiver = account.uin, .count = static_cast<uint64_t>(account.conversations), .conversations = account.conversations});
    }
    work.push_back({.receiver = accounts_[1].uin, .count = older_, .conversations = accounts_[1].conversations, .together = 16});
    TRY(seed_messages(env_, data_, peers_, work));
    seed_seconds_ = static_cast<double>(now_us() - start) / 1e6;
    return {};
  }

  // Of new devices each, of the account with few conversations; then the devices that will catch up.
  Status first_logins() {
    Call call = runtime::background_call(env_, std::chrono::minutes(5));
    for (int i = 0; i < rounds_; ++i) {
      Device device(env_, *transport_, accounts_[2].user_name, k_seed_password);
      TRY(device.connect(call));
      const int64_t start = now_us();
      TRY(device.login(call));
      const int64_t logged_in = now_us();
      login_answers_ = TRY(device.sync(call, [](const client::Entry&) {}));
      login_.add(now_us() - start);
      password_.add(logged_in - start);
      login_bytes_ = device.link().traffic().bytes_in;
    }
    for (int i = 0; i < 2; ++i) {
      devices_.push_back(std::make_unique<Device>(env_, *transport_, accounts_[static_cast<size_t>(i)].user_name, k_seed_password));
      TRY(devices_.back()->connect(call));
      TRY(devices_.back()->login(call));
      TRY(devices_.back()->sync(call, [](const client::Entry&) {}));
      devices_.back()->disconnect();
    }
    return {};
  }

  Status catch_up(int round) {
    TRY(server_.stop());
    const int which = round % 2;
    const SeedAccount& account = accounts_[static_cast<size_t>(which)];
    TRY(seed_messages(env_, data_, peers_, {{.receiver = account.uin, .count = k_news, .conversations = account.conversations}}));
    drop_page_cache(data_);
    TRY(server_.start());
    return in_coroutine([&] { return catch_up_one(which); });
  }

  Status catch_up_one(int which) {
    Call call = runtime::background_call(env_, std::chrono::minutes(1));
    Device& device = *devices_[static_cast<size_t>(which)];
    Seen& seen = seen_[which];
    TRY(device.connect(call));
    const Traffic before = device.link().traffic();
    int news = 0;
    const int64_t start = now_us();
    TRY(device.sync(call, [&](const client::Entry& entry) { news += entry.has_message() ? 1 : 0; }));
    const int64_t took = now_us() - start;
    const Traffic after = device.link().traffic();
    device.disconnect();
    if (news != k_news) return Status(Code::internal, fmt::format("{} new messages came, not {}", news, k_news));
    seen.time.add(took);
    seen.frames_out_max = std::max(seen.frames_out_max, after.frames_out - before.frames_out);
    seen.frames_in_max = std::max(seen.frames_in_max, after.frames_in - before.frames_in);
    seen.bytes_out_max = std::max(seen.bytes_out_max, after.bytes_out - before.bytes_out);
    seen.bytes_in_max = std::max(seen.bytes_in_max, after.bytes_in - before.bytes_in);
    return {};
  }

  void tell() {
    const auto count = [](uint64_t n) { return static_cast<double>(n); };
    const Seen& brief = seen_[0];
    const Seen& longer = seen_[1];
    report_.add({.test = "catch up: frames to the server", .unit = "frames", .ours = count(brief.frames_out_max), .ours_max = 1});
    report_.add({.test = "catch up: frames from the server", .unit = "frames", .ours = count(brief.frames_in_max), .ours_max = 1});
    report_.add({.test = "catch up: bytes to the server", .unit = "bytes", .ours = count(brief.bytes_out_max)});
    report_.add({.test = "catch up: bytes from the server", .unit = "bytes", .ours = count(brief.bytes_in_max)});
    report_.add({.test = "catch up: time p50", .unit = "ms", .ours = brief.time.quantile_ms(0.5), .ours_max = 20});
    report_.add({.test = "catch up: time max", .unit = "ms", .ours = brief.time.max_ms()});
    report_.add({.test = "with a long past: frames from the server", .unit = "frames", .ours = count(longer.frames_in_max), .ours_max = 1});
    report_.add({.test = "with a long past: time p50", .unit = "ms", .ours = longer.time.quantile_ms(0.5),
                 .peers = {{"short past", brief.time.quantile_ms(0.5)}}, .ratio_max = 1.2});
    report_.add({.test = "with a long past: time max", .unit = "ms", .ours = longer.time.max_ms(), .peers = {{"short past", brief.time.max_ms()}}});
    report_.add({.test = "first login: time p50", .unit = "ms", .ours = login_.quantile_ms(0.5), .ours_max = 100});
    report_.add({.test = "first login: time max", .unit = "ms", .ours = login_.max_ms()});
    report_.add({.test = "first login: of it the password, p50", .unit = "ms", .ours = password_.quantile_ms(0.5)});
    report_.add({.test = "first login: bytes from the server", .unit = "bytes", .ours = count(login_bytes_)});
    report_.add({.test = "memory of the server (RSS)", .unit = "MiB", .ours = server_.memory_mib()});
    report_.note(fmt::format("{} new messages in {} conversations, {} rounds, each the first question after a restart with the kernel's "
                             "copies of the files dropped; long past: {} older messages. Times are from the request to its answer at the client's socket, "
                             "decoding included, so the server's own time is less. Transport: {}.",
                             k_news, accounts_[0].conversations, rounds_, older_, transport_->name()));
    report_.note(fmt::format("First login: {} conversations with {} friends, password check and {} answers of sync. Making the data "
                             "took {:.0f} s; it takes {:.1f} MiB.",
                             accounts_[2].conversations, accounts_[2].conversations, login_answers_, seed_seconds_,
                             static_cast<double>(file_bytes(data_)) / (1 << 20)));
  }

  Env& env_;
  const Options& options_;
  Report& report_;
  TemporaryDirectory directory_;
  std::string data_;
  ServerProcess server_;
  std::unique_ptr<Transport> transport_;
  const int rounds_;
  const uint64_t older_;
  std::vector<SeedAccount> accounts_;
  SeedPeers peers_;
  std::vector<std::unique_ptr<Device>> devices_;
  Seen seen_[2];
  Samples login_, password_;
  int login_answers_ = 0;
  uint64_t login_bytes_ = 0;
  double seed_seconds_ = 0;
};

}  // namespace

Status bench_sync(Env& env, const Options& options, Report& report) { return SyncBench(env, options, report).run(); }

}  // namespace hongyan::bench
