// What the gates' own executables share. In a process of its own a gate learns of a session's end by the ring that
// presence carries, which it checks with data/device, and at the latest by asking again after half a minute.
#pragma once

#include <memory>
#include <string>

#include "process/process.h"
#include "runtime/tls/tls.h"

namespace hongyan::process {

api::Entry& make_entry(Process& process);
// Null: plain, on loopback without a certificate. Anything but loopback wants tls.certificate and tls.key, which all gates share.
Result<std::shared_ptr<runtime::TlsServer>> load_tls(Process& process, const std::string& host);
// All gates of the deployment, by the names they give themselves.
void add_gates(Process& process, access::Presence& presence);

}  // namespace hongyan::process
