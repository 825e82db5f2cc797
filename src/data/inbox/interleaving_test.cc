// Many coroutines at once on one service: sends both ways, resends, read marks, syncs, the worker. What holds at the
// end holds whatever order they ran in.
#include <algorithm>

#include "base/random.h"
#include "data/inbox/testing/world.h"

namespace hongyan::inbox {
namespace {

using Ids = std::vector<std::string>;

bool in_order(const Ids& ids, const std::string& first, const std::string& second) {
  const auto a = std::find(ids.begin(), ids.end(), first);
  return a != ids.end() && std::find(a, ids.end(), second) != ids.end();
}

// A device: sends, waits for the answer, sends the next (order contract d); every send is tried until it is answered.
void run_device(World& world, uint64_t me, uint64_t peer, const std::string& name, int sends, Random random) {
  for (int i = 0; i < sends; ++i) {
    const client::Message message = World::text(peer, fmt::format("{}-{}", name, i));
    const bool abandoned = random.one_in(5);  // Dies between the two appends.
    if (abandoned) {
      ASSERT_TRUE(world.append(me, peer, {message}).ok());
    }
    if (!abandoned || random.one_in(2)) {
      ASSERT_TRUE(world.send(me, peer, message).ok());
    }
    if (random.one_in(3)) {
      const Status marked = world.mark_read(me, direct(peer), random.below(world.head(me) + 1)).status();
      ASSERT_TRUE(marked.ok() || marked.code() == Code::conflict);
    }
    Call call = world.env.call();
    if (random.one_in(3)) {
      ASSERT_TRUE(runtime::sleep(call, std::chrono::milliseconds(random.below(400))).ok());
    }
  }
}

TEST(Interleaving, of_devices_and_workers_keeps_every_promise) {
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    World world({.close_interval = std::chrono::milliseconds(150), .open_send_grace_ms = 100});
    constexpr int k_sends = 25;
    runtime::run_in_coroutine(world.env, [&] {
      world.room->start();
      runtime::Nursery devices(world.env.scheduler());
      Random random(seed);
      for (const char* name : {"ann-phone", "ann-web"}) {
        devices.spawn("ann", [&world, name, r = Random(random.next())] { run_device(world, k_ann, k_bob, name, k_sends, r); });
      }
      for (const char* name : {"bob-phone", "bob-web"}) {
        devices.spawn("bob", [&world, name, r = Random(random.next())] { run_device(world, k_bob, k_ann, name, k_sends, r); });
      }
      Ids synced;  // A device of Bob's that syncs all the time, in small answers.
      uint64_t since = 0;
      const auto sync_once = [&] {
        const auto answer = world.sync(k_bob, since, 500);
        ASSERT_TRUE(answer.ok());
        ASSERT_FALSE(answer->reset());
        for (const client::Entry& entry : answer->entries()) {
          if (entry.has_message()) synced.push_back(entry.message().client_msg_id());
        }
        since = answer->version();
      };
      Call call = world.env.call();
      while (devices.live() > 0) {
        sync_once();
        ASSERT_TRUE(runtime::sleep(call, std::chrono::milliseconds(20)).ok());
      }
      ASSERT_TRUE(devices.join(call).ok());
      ASSERT_TRUE(runtime::sleep(call, std::chrono::seconds(2)).ok());
      ASSERT_TRUE(world.room->stop(call).ok());
      while (since < world.head(k_bob)) sync_once();

      const Ids ann = world.ids(k_ann);
      const Ids bob = world.ids(k_bob);
      EXPECT_EQ(synced, bob);
      ASSERT_EQ(ann.size(), 4u * k_sends);
      ASSERT_EQ(bob.size(), 4u * k_sends);
      EXPECT_EQ(std::set<std::string>(ann.begin(), ann.end()).size(), ann.size());
      EXPECT_EQ(std::set<std::string>(bob.begin(), bob.end()), std::set<std::string>(ann.begin(), ann.end()));
      for (const char* name : {"ann-phone", "ann-web", "bob-phone", "bob-web"}) {
        for (int i = 0; i + 1 < k_sends; ++i) {
          const std::string first = fmt::format("{}-{}", name, i);
          const std::string second = fmt::format("{}-{}", name, i + 1);
          EXPECT_TRUE(in_order(ann, first, second)) << second;
          EXPECT_TRUE(in_order(bob, first, second)) << second;
        }
      }
      for (const auto& [me, peer] : {std::pair(k_ann, k_bob), std::pair(k_bob, k_ann)}) {
        const client::ConversationState state = world.state(me, direct(peer));
        uint32_t unread = 0;
        for (const client::Entry& entry : world.sync_all(me)) {
          const client::Message& message = entry.message();
          unread += entry.has_message() && message.sender() == peer && message.position() > state.read_position() ? 1 : 0;
        }
        EXPECT_EQ(state.unread(), unread);
        EXPECT_EQ(world.store.rows(entity_of(me), 'O'), 0u);
        EXPECT_FALSE(world.store.marked(model::k_work_open_send, entity_of(me)));
      }
    });
  }
}

}  // namespace
}  // namespace hongyan::inbox
