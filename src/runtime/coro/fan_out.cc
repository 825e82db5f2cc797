#include "runtime/coro/fan_out.h"

namespace hongyan::runtime {

void join_or_cancel(Nursery& nursery) {
  Call patient;
  if (!nursery.join(patient).ok()) nursery.cancel_and_join();
}

}  // namespace hongyan::runtime
