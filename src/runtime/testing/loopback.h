// A network inside one scheduler for unit tests: no delay, no loss, bytes in order, 64 KiB in
// flight each way so that a slow reader holds its writer back. Any address may be listened on; a
// port 0 becomes a free one.
#pragma once

#include <map>

#include "runtime/env/env.h"

namespace hongyan::runtime {

struct LoopbackPort;

class LoopbackNetwork : public Network {
 public:
  LoopbackNetwork();
  Result<std::unique_ptr<Listener>> listen(const std::string& address) override;
  Result<std::unique_ptr<Stream>> connect(Call& call, const std::string& address) override;

 private:
  // By port; the host part of an address says nothing here.
  std::shared_ptr<std::map<int, std::shared_ptr<LoopbackPort>>> ports_;
  int next_port_ = 40'000;
};

// Two ends of a connection without a network.
std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> make_stream_pair();

}  // namespace hongyan::runtime
