// Pushes from inside to one link: rings become frames of cmdid 10001 and seq 0, the end of a session ends the link.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "access/long_link/long_link_counters.h"
#include "api/gate/link_table.h"

namespace hongyan::access {

class ProxyNotify : public api::LinkMember {
 public:
  // `push` queues a frame's body, `end` closes the link when what is queued has left. Neither waits.
  ProxyNotify(LongLinkCounters& counters, std::function<void(std::string)> push, std::function<void()> end)
      : counters_(counters), push_(std::move(push)), end_(std::move(end)) {}

  void ring(const client::Ring& ring) override;
  void close_link(api::CloseReason reason) override;

 private:
  LongLinkCounters& counters_;
  std::function<void(std::string)> push_;
  std::function<void()> end_;
};

}  // namespace hongyan::access
