// TLS between the services of a deployment, with a certificate on both sides. Off unless the settings name the three
// files:
//
//   internal_tls.ca           certificates of the authorities that sign the services' own, and nobody else's
//   internal_tls.certificate  this process's; "{service}" in it and in the key's name stands for the service's name, so
//   internal_tls.key          that one settings file serves all: "/etc/hongyan/tls/{service}.pem"
//
// All of a deployment have it or none: a process without a certificate of that authority reaches no service and is
// reached by none. Whoever calls a service checks the name in its certificate, so that a stolen certificate of one
// service answers for no other; who may call what is said by tickets, as without TLS. Files are read at the start.
//
// An authority and certificates for one deployment are made by `hongyan-server certificates`: DIRECTORY/ca.pem and, for
// each service and for "operator" (`./hongyan rpc --tls DIRECTORY`), NAME.pem and NAME.key, readable by the owner only.
// The authority's own key stays in the data directory.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/config/config.h"
#include "runtime/env/env.h"
#include "runtime/tls/tls.h"

namespace hongyan::process {

class InternalTls {
 public:
  InternalTls() = default;  // Plain.
  // Code::invalid and the errors of the disk name the setting. Blocks; before the scheduler runs.
  static Result<InternalTls> load(Env& env, const runtime::Config& config, std::string_view service);
  // What `hongyan-server certificates` wrote for the operator.
  static Result<InternalTls> load_operator(Env& env, const std::string& directory);

  std::shared_ptr<runtime::TlsServer> server() const { return server_; }          // Null: plain.
  // To an endpoint (services.h), or to any of them where the name is empty. Null: plain.
  std::shared_ptr<runtime::TlsClient> client(Env& env, std::string_view endpoint) const;

 private:
  static Result<InternalTls> make(Env& env, runtime::TlsMutual mutual);
  runtime::TlsMutual mutual_;
  std::shared_ptr<runtime::TlsServer> server_;
};

void declare_internal_tls(runtime::Config& config);
// An endpoint's name as certificates have it: "message-sync".
std::string certificate_name(std::string_view endpoint);
// Makes what is missing and replaces what ends within a third of its time; the authority's key is in `data`. Blocks.
Status write_certificates(Env& env, const std::string& data, const std::string& directory);

}  // namespace hongyan::process
