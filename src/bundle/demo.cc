#include "bundle/demo.h"

#include "base/bytes.h"
#include "model/error_code.h"

namespace hongyan::bundle {

namespace {

struct Person {
  const char* user_name;
  const char* nickname;
};
constexpr Person k_people[] = {{"alice", "Alice"}, {"bob", "Bob"}};

// 16 letters and digits that can't be mistaken for each other: 80 bits.
std::string new_password(Env& env) {
  static constexpr std::string_view alphabet = "abcdefghjkmnpqrstuvwxyz23456789-";
  std::string password;
  for (unsigned char byte : env.random_bytes(16)) password.push_back(alphabet[byte & 31]);
  return password;
}

}  // namespace

Status make_demo(Env& env, Bundle& bundle, const std::function<void(const std::string&)>& say) {
  IntegratorClients clients = bundle.integrator();
  Call call = clients.self.background(std::chrono::seconds(30));
  uint64_t uins[2] = {};
  for (size_t i = 0; i < 2; ++i) {
    const std::string password = new_password(env);
    internal::CreateAccountRequest create;
    create.set_name_space("login");
    create.set_name(k_people[i].user_name);
    create.set_nickname(k_people[i].nickname);
    create.set_password(password);
    create.set_attempt(env.random_bytes(16));
    const auto created = clients.account.create(call, create);
    if (created.code() == model::as_code(model::ErrorCode::name_taken)) {
      say(std::string("Demo account ") + k_people[i].user_name + " is there already; its password was shown when it was made.");
      return {};
    }
    if (!created.ok()) return created.status();
    uins[i] = created->uin();
    say(std::string("Demo account: user name ") + k_people[i].user_name + ", password " + password);
  }
  internal::BefriendRequest befriend;
  befriend.set_uin(uins[0]);
  befriend.set_peer(uins[1]);
  TRY(clients.contact.befriend(call, befriend));
  return {};
}

}  // namespace hongyan::bundle
