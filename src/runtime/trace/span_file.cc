#include "runtime/trace/span_file.h"

#include <algorithm>
#include <vector>

#include "runtime/log/log.h"

namespace hongyan::runtime {

SpanFile::SpanFile(Env& env, SpanFileOptions options)
    : env_(env),
      options_(std::move(options)),
      next_(env.tracer().finished()),
      lost_(env.counters().counter("hongyan_trace_lost", "Spans of sampled calls that were not written to the file")),
      nursery_(env.scheduler()) {}

SpanFile::~SpanFile() = default;

void SpanFile::start() {
  nursery_.spawn("spans are written", [this] {
    for (;;) {
      if (env_.tracer().finished() == next_ && !env_.tracer().wait_for_more().ok()) return;
      Call pause;
      if (!sleep(pause, options_.every).ok()) return;
      write_all();
    }
  });
}

void SpanFile::stop() {
  nursery_.cancel_and_join();
  write_all();
}

// Nobody adds to the line while the disk writes it; spans that come meanwhile are of the next one.
void SpanFile::write_all() {
  while (next_ < env_.tracer().finished()) {
    const auto& kept = env_.tracer().kept();
    const uint64_t first = env_.tracer().finished() - kept.size();
    if (next_ < first) {
      lost_.add(static_cast<int64_t>(first - next_));
      next_ = first;
    }
    std::vector<const Span*> spans;
    for (size_t i = next_ - first; i < kept.size() && spans.size() < k_spans_of_line; ++i) spans.push_back(&kept[i]);
    next_ += spans.size();
    const std::string line = otlp_line(options_.source, spans);
    Status written;
    env_.pool().run([&] { written = append(line); });
    if (written.ok()) {
      failing_ = false;
      continue;
    }
    lost_.add(static_cast<int64_t>(spans.size()));
    file_.reset();
    if (!std::exchange(failing_, true)) env_.log().warning("trace: spans are lost", {{"error", written.detail()}});
  }
}

// On the pool.
Status SpanFile::append(const std::string& line) {
  if (file_ != nullptr && size_ + line.size() > options_.bytes_max) {
    file_.reset();
    TRY(env_.disk().rename(options_.path, options_.path + ".1"));
  }
  if (file_ == nullptr) {
    const OpenMode mode = env_.disk().exists(options_.path) ? OpenMode::append : OpenMode::create;
    file_ = TRY(env_.disk().open(options_.path, mode));
    size_ = TRY(file_->size());
  }
  TRY(file_->append(line));
  size_ += line.size();
  return {};
}

}  // namespace hongyan::runtime
