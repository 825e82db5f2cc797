// What coroutines do, for people and pages.
#include <fmt/format.h>

#include <cstring>
#include <iterator>

#include "runtime/coro/backtrace.h"
#include "runtime/coro/scheduler_impl.h"

namespace hongyan::runtime {
namespace {

constexpr size_t k_frames_max = 64;

// Reads the stack of one that does not run, where it lies or in its copy.
class StackReader {
 public:
  explicit StackReader(const Coroutine& coroutine)
      : low_(static_cast<const char*>(coroutine.context)),
        high_(low_ + coroutine.stack_live()),
        content_(coroutine.parked() ? coroutine.life.saved : low_) {}
  // Two words at `address`; false: they are not in there.
  bool read(const void* address, const void* (&words)[2]) const {
    const char* at = static_cast<const char*>(address);
    if (at < low_ || at > high_ - sizeof(words)) return false;
    if (reinterpret_cast<uintptr_t>(at) % sizeof(void*) != 0) return false;
    std::memcpy(words, content_ + (at - low_), sizeof(words));
    return true;
  }
  const char* content() const { return content_; }

 private:
  const char* low_;
  const char* high_;
  const char* content_;
};

// Along the chain of frame pointers, which all code of ours keeps.
std::vector<const void*> frames_of(const Coroutine& coroutine) {
  std::vector<const void*> frames;
  const StackReader reader(coroutine);
  const SavedFrame saved = saved_frame(reader.content());
  if (saved.instruction == nullptr) return frames;
  frames.push_back(saved.instruction);
  const void* frame = saved.frame;
  const void* words[2];  // The caller's frame and where it goes on.
  while (frames.size() < k_frames_max && reader.read(frame, words) && words[1] != nullptr) {
    frames.push_back(words[1]);
    if (words[0] <= frame) break;
    frame = words[0];
  }
  return frames;
}

}  // namespace

void Scheduler::each(const std::function<void(const CoroutineInfo&)>& visit,
                     bool with_frames) const {
  impl_->bury_ended();
  impl_->everyone.each([&](Link<EveryoneTag>& link) {
    const Coroutine& coroutine = *coroutine_of(&link);
    CoroutineInfo info;
    info.name = coroutine.name();
    info.domain = coroutine.domain;
    info.running = &coroutine == running_ || coroutine.state == Coroutine::State::running;
    info.waiting = coroutine.state == Coroutine::State::waiting;
    info.cancelled = coroutine.cancelled;
    info.parked = coroutine.parked();
    if (info.waiting) {
      info.waits_in = coroutine.life.waits_in;
      info.waits_since = coroutine.life.waits_since;
      if (coroutine.set()) info.deadline = coroutine.deadline();
    }
    if (coroutine.started()) {
      info.stack_bytes = coroutine.stack_bytes;
      if (!info.running) {
        info.stack_used = coroutine.stack_used();
        if (with_frames) info.frames = frames_of(coroutine);
      }
    }
    visit(info);
  });
}

std::string Scheduler::dump(bool with_frames) const {
  std::string out;
  const auto to = std::back_inserter(out);
  each(
      [&](const CoroutineInfo& info) {
        fmt::format_to(to, "{} (domain {}) {}", info.name, info.domain,
                       info.running ? "runs" : info.waiting ? "waits" : "is ready");
        if (info.waits_in != nullptr) fmt::format_to(to, " in {}", info.waits_in);
        if (info.deadline != k_never) {
          fmt::format_to(to, " for {} ms more", milliseconds(info.deadline - now_));
        }
        if (info.cancelled) out += ", cancelled";
        if (info.parked) out += ", parked";
        out += '\n';
        for (const void* frame : info.frames) {
          fmt::format_to(to, "    {}\n", describe_frame(frame));
        }
      },
      with_frames);
  return out;
}

SchedulerStats Scheduler::stats() const {
  impl_->bury_ended();
  SchedulerStats stats;
  stats.live = impl_->live;
  stats.ready = impl_->run_queue.size();
  stats.waiting_timers = impl_->timers.size();
  stats.spawned = impl_->spawned;
  stats.parked = impl_->parked;
  stats.unparked = impl_->unparked;
  stats.parked_now = impl_->parked - impl_->unparked;
  stats.parked_bytes = impl_->parked_bytes;
  for (int i = 0; i < k_stack_sizes; ++i) {
    if (impl_->pools[i] != nullptr) stats.stacks[i] = impl_->pools[i]->stats();
  }
  return stats;
}

}  // namespace hongyan::runtime
