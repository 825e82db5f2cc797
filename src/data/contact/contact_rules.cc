#include "data/contact/contact_rules.h"

#include "api/client/checks.h"
#include "model/error_code.h"
#include "model/kinds.h"
#include "model/limits.h"

namespace hongyan::contact {

namespace {

EdgeRow in_state(EdgeRow edge, uint32_t state, int64_t now_ms) {
  if (edge.state() != state) edge.set_since_ms(now_ms);
  edge.set_state(state);
  return edge;
}

EdgeRow without_request(EdgeRow edge, int64_t now_ms) {
  edge = in_state(std::move(edge), model::k_edge_none, now_ms);
  edge.clear_greeting();
  return edge;
}

bool wants(const EdgeRow& edge) {
  return edge.state() == model::k_edge_friend || edge.state() == model::k_edge_asked;
}

Effect changed(EdgeRow edge) { return {.edge = std::move(edge), .changed = true, .mutual = false}; }

Effect apply_ask(const PendingRow& pending, const EdgeRow& theirs, int64_t now_ms) {
  if (theirs.blocked()) return {.edge = theirs};  // The asker must not learn it.
  if (theirs.state() == model::k_edge_friend) return {.edge = theirs, .changed = false, .mutual = true};
  if (theirs.state() == model::k_edge_asked) {
    return {.edge = in_state(theirs, model::k_edge_friend, now_ms), .changed = true, .mutual = true};
  }
  if (theirs.state() == model::k_edge_asks_me && theirs.greeting() == pending.greeting()) return {.edge = theirs};
  EdgeRow edge = in_state(theirs, model::k_edge_asks_me, now_ms);
  edge.set_greeting(pending.greeting());
  return changed(std::move(edge));
}

}  // namespace

Status check_greeting(const std::string& greeting) {
  if (greeting.empty()) return {};
  return api::check_name(greeting, model::k_greeting_bytes_max, "greeting");
}

Step ask(const EdgeRow& mine, const std::string& greeting, int64_t now_ms) {
  if (mine.state() == model::k_edge_asks_me) {
    return {.edge = in_state(mine, model::k_edge_friend, now_ms), .action = Action::accept};
  }
  Step out{.edge = mine, .action = Action::ask, .greeting = greeting};
  // A friend who asks has been removed by the peer, and goes on listing them.
  if (mine.state() == model::k_edge_friend) return out;
  out.edge = in_state(mine, model::k_edge_asked, now_ms);
  out.edge.set_greeting(greeting);
  return out;
}

Result<Step> accept(const EdgeRow& mine, int64_t now_ms) {
  if (mine.state() == model::k_edge_friend) return Step{.edge = mine};
  if (mine.state() != model::k_edge_asks_me) {
    return model::error(model::ErrorCode::no_request, "this user has not asked");
  }
  return Step{.edge = in_state(mine, model::k_edge_friend, now_ms), .action = Action::accept};
}

Step remove(const EdgeRow& mine, int64_t now_ms) {
  Step out{.edge = without_request(mine, now_ms)};
  // A friend who is removed goes on listing me; a request that is refused stays open on the other side.
  if (mine.state() == model::k_edge_asked) out.action = Action::withdraw;
  if (mine.state() == model::k_edge_friend) out.edge.clear_remark();
  return out;
}

Step befriend(const EdgeRow& mine, int64_t now_ms) {
  return {.edge = in_state(mine, model::k_edge_friend, now_ms), .action = Action::befriend};
}

Result<Step> set(const EdgeRow& mine, const internal::SetEdgeRequest& request) {
  Step out{.edge = mine};
  for (const std::string& field : request.fields()) {
    if (field == "remark") {
      if (!request.remark().empty()) {
        TRY(api::check_name(request.remark(), model::k_name_bytes_max, "remark"));
      }
      out.edge.set_remark(request.remark());
    } else if (field == "blocked") {
      out.edge.set_blocked(request.blocked());
    } else {
      return Status(Code::invalid, "fields are remark and blocked");
    }
  }
  return out;
}

Effect apply(const PendingRow& pending, const EdgeRow& theirs, int64_t now_ms) {
  const uint32_t state = theirs.state();
  switch (static_cast<Action>(pending.action())) {
    case Action::ask: return apply_ask(pending, theirs, now_ms);
    case Action::accept:
      if (state == model::k_edge_asked) return changed(in_state(theirs, model::k_edge_friend, now_ms));
      break;  // Withdrawn meanwhile, or known already.
    case Action::withdraw:
      if (state == model::k_edge_asks_me) return changed(without_request(theirs, now_ms));
      break;
    case Action::befriend:
      if (state != model::k_edge_friend) return changed(in_state(theirs, model::k_edge_friend, now_ms));
      break;
  }
  return {.edge = theirs};
}

EdgeRow befriended(const EdgeRow& mine, int64_t now_ms) {
  return mine.state() == model::k_edge_asked ? in_state(mine, model::k_edge_friend, now_ms) : mine;
}

bool is_bare(const EdgeRow& edge) {
  return edge.state() == model::k_edge_none && !edge.blocked() && edge.remark().empty();
}

bool are_friends(const EdgeRow& a, const EdgeRow& b) {
  return wants(a) && wants(b) && (a.state() == model::k_edge_friend || b.state() == model::k_edge_friend);
}

}  // namespace hongyan::contact
