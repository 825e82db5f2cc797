#include "runtime/testing/test_env.h"

#include <cstring>

namespace hongyan::runtime {
namespace {

// 2026-01-01T00:00:00Z, when a TestEnv is born.
constexpr int64_t k_birth_utc_ms = 1'767'225'600'000;

// In place, on the thread's own stack: a lane's work may need more than a coroutine's. Then the
// others have their turn, as they would while a thread works, so a caller that believes nothing
// changes meanwhile is found out.
class InlineLane : public Lane {
 public:
  void run(const std::function<void()>& work) override {
    if (!Scheduler::in_coroutine()) return work();
    Scheduler& scheduler = Scheduler::current();
    scheduler.run_on_thread_stack(work);
    scheduler.yield();
  }
};

}  // namespace

void TestLog::write(const LogEvent& event) {
  fmt::memory_buffer text;
  put_text(text, event);
  lines_.push_back(std::string(name_of(event.level)) + " " + fmt::to_string(text));
}

bool TestLog::contains(std::string_view text) const {
  for (const std::string& line : lines_) {
    if (line.find(text) != std::string::npos) return true;
  }
  return false;
}

int64_t TestEnv::utc_ms() {
  return k_birth_utc_ms + utc_jump_ms_ + milliseconds(scheduler_.now() - ManualPoller::k_birth);
}

void TestEnv::random(std::span<char> into) {
  for (size_t done = 0; done < into.size(); done += sizeof(uint64_t)) {
    const uint64_t word = random_.next();
    std::memcpy(into.data() + done, &word, std::min(sizeof(word), into.size() - done));
  }
}

std::unique_ptr<Lane> TestEnv::make_lane(std::string_view, int) {
  return std::make_unique<InlineLane>();
}

}  // namespace hongyan::runtime
