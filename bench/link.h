// What a load generator needs of a device's connection. One coroutine uses a link; rings that arrive beside an answer
// wait for next_ring(). Counts what passed its socket, framing included.
#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <string_view>

#include "api/client/chat.pb.h"
#include "api/client/friend.pb.h"
#include "api/client/login.pb.h"
#include "api/client/sync.pb.h"
#include "bench/server_process.h"
#include "runtime/env/env.h"

namespace hongyan::bench {

struct Traffic {
  uint64_t frames_out = 0, frames_in = 0, bytes_out = 0, bytes_in = 0;
};

class Link {
 public:
  virtual ~Link() = default;
  // `path` as in the command table. An error code in the answer's base is the Status.
  virtual Status call(Call& call, std::string_view path, const google::protobuf::Message& request,
                      google::protobuf::Message& response) = 0;
  virtual Status next_ring(Call& call) = 0;
  virtual const Traffic& traffic() const = 0;
};

// How links are made; "WebSocket, JSON" for people. The device is the caller's own.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual std::string name() const = 0;
  virtual Result<std::unique_ptr<Link>> connect(Call& call) = 0;
  // From now on the link belongs to the device that the ticket in `base` names, and is rung.
  virtual Status identify(Call& call, Link& link, const client::BaseRequest& base) = 0;
};

std::unique_ptr<Transport> make_web_transport(Env& env, const ServerProcess& server);
std::unique_ptr<Transport> make_long_transport(Env& env, const ServerProcess& server);
// "long", "web", or "": the long link where the server has one.
std::unique_ptr<Transport> make_transport(Env& env, const ServerProcess& server, const std::string& kind);

// What the base of a response says.
Status status_of(const google::protobuf::Message& response);

// One device of one account on one link.
class Device {
 public:
  Device(Env& env, Transport& transport, std::string user_name, std::string password);
  Status connect(Call& call);
  Status sign_up(Call& call);
  Status login(Call& call);
  // Makes this link the device's, so that it is rung.
  Status go_online(Call& call) { return transport_.identify(call, *link_, base()); }
  // Everything new; the entries go to `each`. Gives the number of answers it took.
  Result<int> sync(Call& call, const std::function<void(const client::Entry&)>& each);

  client::BaseRequest base() const;
  Link& link() { return *link_; }
  void disconnect() { link_.reset(); }
  uint64_t uin() const { return uin_; }

 private:
  Status opened(Status status, const client::LoginResponse& response);
  Env& env_;
  Transport& transport_;
  std::unique_ptr<Link> link_;
  std::string user_name_, password_, id_, ticket_, snapshot_;
  uint64_t uin_ = 0;
};

}  // namespace hongyan::bench
