// logic/login: registration, login, profile and devices of the caller. Holds no key and no row: identity is the
// call's ticket, checked by the data services. An anonymous call carries access's service ticket "login".
// Errors: those of data/account and data/device, passed on. Registering is idempotent by the device id: a client that
// lost the answer sends the same request again and gets the same account.
#pragma once

#include <memory>
#include <string>

#include "api/client/login.rpc.pb.h"
#include "api/internal/account.rpc.pb.h"
#include "api/internal/contact.rpc.pb.h"
#include "api/internal/device.rpc.pb.h"
#include "api/internal/presence.rpc.pb.h"
#include "runtime/env/env.h"

namespace hongyan::logic {

struct LoginDeps {
  internal::AccountClient account;
  internal::DeviceClient device;
  internal::ContactClient contact;
  internal::PresenceClient presence;
};

// Who makes accounts: people themselves, the integrator's server, or both.
enum class AuthMode { builtin, integrator, both };

struct LoginConfig {
  std::string region = "r0";
  AuthMode auth = AuthMode::both;
};

std::unique_ptr<client::LoginService> make_login(Env& env, LoginDeps deps, LoginConfig config);

}  // namespace hongyan::logic
