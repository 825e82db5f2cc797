// TCP of the kernel: sockets that never block, watched by one DescriptorPoller. See Network for the
// promises. An address that was inherited is listened on through the socket the master opened, once.
#pragma once

#include "runtime/counters/counters.h"
#include "runtime/env/env.h"
#include "runtime/log/log.h"
#include "runtime/os/descriptor_poller.h"
#include "runtime/os/inherited.h"

namespace hongyan::runtime {

class KernelNetwork : public Network {
 public:
  KernelNetwork(DescriptorPoller& poller, Counters& counters, Log& log, Inherited inherited = {});
  Result<std::unique_ptr<Listener>> listen(const std::string& address) override;
  Result<std::unique_ptr<Stream>> connect(Call& call, const std::string& address) override;

 private:
  DescriptorPoller& poller_;
  Counter& accepts_refused_;
  Log& log_;
  Inherited inherited_;
};

}  // namespace hongyan::runtime
