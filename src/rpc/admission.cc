#include "rpc/admission.h"

namespace hongyan::rpc {

DagorAdmission::DagorAdmission(Env& env, DagorOptions options)
    : dagor_(options),
      refused_(env.counters().counter("hongyan_rpc_overload_refused", "Calls refused because the server was overloaded")),
      late_(env.counters().counter("hongyan_rpc_late", "Calls whose time was over before they started")) {}

Admission::Verdict DagorAdmission::ask(const Arrival& arrival) {
  now_ = arrival.now;
  if (dagor_.admit(arrival.priority, arrival.now - arrival.arrived, arrival.now)) return {};
  dagor_.waited(arrival.now - arrival.arrived, arrival.now);
  refused_.add(1);
  return {.code = Code::overloaded, .why = "the server is overloaded"};
}

void DagorAdmission::started(const MethodInfo&, runtime::Duration queue_wait) {
  dagor_.waited(queue_wait, now_);
}

void DagorAdmission::late(const Arrival& arrival) {
  dagor_.late(arrival.priority, arrival.now - arrival.arrived, arrival.now);
  late_.add(1);
}

}  // namespace hongyan::rpc
