#include "store/paxos/testing/scenarios.h"

#include "store/paxos/testing/drive.h"

namespace hongyan::store::paxos {
namespace {

constexpr ReplicaId A = 0, B = 1, C = 2, D = 3, E = 4;
using Kind = CallerRequest::Kind;

// Entry 1 is A's, and these know it.
std::function<void(World&)> written_by_a(uint8_t known_to) {
  return [known_to](World& world) {
    Drive drive(world);
    world.submit(A, 100, {.request = 0});
    drive.settle(known_to);
    CHECK(world.replica(A).chosen() == 1);
  };
}

World::Options options(uint8_t replicas) { return {.replicas = replicas, .forgets_useless = true}; }

}  // namespace

void two_ballots_one_value(World& world) {
  Drive drive(world);
  const auto flush = [&](ReplicaId at) {
    while (world.can_flush(at)) world.flush(at);
  };
  using M = Message::Kind;
  const auto ask = [&](ReplicaId from, ReplicaId to, M question, M answer, bool hears) {
    drive.pass(from, to, question);
    flush(to);
    if (hears) drive.pass(to, from, answer);
  };
  world.submit(A, 100, {.request = 0});
  flush(A);
  ask(A, C, M::prepare, M::promise, true);
  ask(A, D, M::prepare, M::promise, true);
  flush(A);
  ask(A, C, M::accept, M::accepted, false);
  ask(A, D, M::accept, M::accepted, false);
  world.submit(B, 101, {.request = 1});
  flush(B);
  drive.pass(A, B, M::prepare);  // B's next round is above A's.
  world.retry(B);
  flush(B);
  ask(B, D, M::prepare, M::promise, true);
  ask(B, E, M::prepare, M::promise, true);
  flush(B);
  ask(B, D, M::accept, M::accepted, true);
  ask(B, E, M::accept, M::accepted, true);
  drive.pass(C, A, M::accepted);
  drive.pass(D, A, M::accepted);
  flush(A);
  flush(B);
  CHECK(world.replica(A).chosen() == 1 && world.replica(B).chosen() == 1);
}

std::vector<Scenario> scenarios() {
  std::vector<Scenario> all;
  {
    Exploration e{.options = options(3)};
    e.callers = {{.at = A, .what = {.request = 1}}, {.at = B, .what = {.request = 2}}};
    e.retries_max = {1, 1, 0};
    e.actions_max = 10;
    all.push_back({"3: two proposers of a first entry", e, 16, {}});
  }
  {
    Exploration e{.options = options(3)};
    e.before = written_by_a(set_of(A, B, C));
    e.callers = {{.at = A, .what = {.request = 1}}, {.at = B, .what = {.request = 2}}, {.at = C, .what = {.kind = Kind::read}}};
    e.retries_max = {1, 0, 1};
    e.actions_max = 9;
    all.push_back({"3: the author, a rival and a reader", e, 13, {Mutant::stale_read, Mutant::votes_unseen_by_reads}});
  }
  {
    Exploration e{.options = options(3)};
    e.before = written_by_a(set_of(A, B, C));
    e.callers = {{.at = A, .what = {.request = 1}}, {.at = B, .what = {.request = 1}}};
    e.retries_max = {1, 1, 0};
    e.actions_max = 11;
    all.push_back({"3: one request through two proposers", e, 18, {Mutant::request_ids_forgotten, Mutant::evaluation_reused}});
  }
  {
    Exploration e{.options = options(3)};
    e.before = written_by_a(set_of(A, B, C));
    e.callers = {{.at = A, .what = {.request = 1}}, {.at = A, .what = {.request = 2}, .after = 1}};
    e.retries_max = {1, 1, 0};
    e.restarts_max = {1, 0, 1};
    e.actions_max = 8;
    all.push_back({"3: the author restarts, and a voter", e, 12, {Mutant::accept_not_persisted, Mutant::life_ignored}});
  }
  {
    Exploration e{.options = options(3)};
    e.callers = {{.at = A, .what = {.request = 1}}, {.at = B, .what = {.request = 2}}};
    e.restarts_max = {0, 0, 1};
    e.actions_max = 10;
    all.push_back({"3: two proposers, and a voter restarts", e, 15, {}});
  }
  {
    Exploration e{.options = options(3)};
    e.before = written_by_a(set_of(A, B));
    e.callers = {{.at = C, .what = {.request = 2}}, {.at = A, .what = {.request = 1}}};
    e.retries_max = {0, 1, 0};
    e.lost_disks_max = {0, 1, 0};
    e.actions_max = 9;
    all.push_back({"3: a voter loses its disk", e, 14, {Mutant::lost_disk_unnoticed}});
  }
  {
    Exploration e{.options = options(3)};
    e.before = [](World& world) {
      written_by_a(set_of(A, B, C))(world);
      for (ReplicaId at = A; at <= C; ++at) world.drop_log(at);
    };
    e.callers = {{.at = A, .what = {.request = 1}}, {.at = B, .what = {.kind = Kind::append_if, .request = 2, .length = 1}},
                 {.at = C, .what = {.kind = Kind::read}}};
    e.retries_max = {0, 1, 0};
    e.options.log_kept = 0;
    e.actions_max = 9;
    all.push_back({"3: snapshots only, and a commit with a precondition", e, 13, {}});
  }
  {
    Exploration e{.options = options(5)};
    e.before = two_ballots_one_value;
    e.callers = {{.at = A, .what = {.request = 2}}, {.at = B, .what = {.request = 3}}};
    e.actions_max = 7;
    all.push_back({"5: two ballots have finished one value", e, 10, {Mutant::authorship_by_ballot}});
  }
  {
    Exploration e{.options = options(5)};
    e.before = written_by_a(set_of(A, B, C, D, E));
    e.callers = {{.at = A, .what = {.request = 1}}, {.at = B, .what = {.request = 2}}};
    e.restarts_max = {1, 0, 1, 0, 0};
    e.actions_max = 7;
    all.push_back({"5: the author and a rival, two restarts", e, 10, {}});
  }
  {
    Exploration e{.options = options(5)};
    e.before = written_by_a(set_of(A, B, C));
    e.callers = {{.at = A, .what = {.request = 1}}, {.at = E, .what = {.kind = Kind::read}}};
    e.lost_disks_max = {0, 1, 0, 0, 0};
    e.retries_max = {0, 1, 0, 0, 1};
    e.actions_max = 6;
    all.push_back({"5: a voter loses its disk, and somebody reads", e, 9, {}});
  }
  return all;
}

}  // namespace hongyan::store::paxos
