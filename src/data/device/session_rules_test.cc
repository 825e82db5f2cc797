// Goal: no epoch names two sessions, whatever was forgotten or undone in between. Method: decisions alone, applied to devices in
// memory; a restore is an older copy of them under another incarnation.
#include "data/device/session_rules.h"

#include <gtest/gtest.h>

#include <set>

#include "data/device/limits.h"
#include "model/limits.h"

namespace hongyan::device {
namespace {

const std::string k_phone(16, 'p'), k_tablet(16, 't');

Opening opening(const std::string& id, uint32_t first_floor = 5000) {
  Opening out;
  out.info.set_id(id);
  out.first_floor = first_floor;
  return out;
}

// The devices after a decision, as the store would have them.
Devices after(Devices devices, const Decision& decision, uint64_t incarnation) {
  for (const store::Mutation& mutation : decision.mutations) {
    if (mutation.key == k_row_meta) {
      EXPECT_TRUE(devices.meta.ParseFromString(mutation.value));
    } else if (mutation.kind == store::Mutation::Kind::erase) {
      devices.rows.erase(mutation.key.substr(1));
    } else {
      EXPECT_TRUE(devices.rows[mutation.key.substr(1)].ParseFromString(mutation.value));
    }
  }
  devices.header.incarnation = incarnation;
  return devices;
}

uint32_t log_in(Devices& devices, const std::string& id, uint64_t incarnation) {
  const Decision decision = open_session(devices, opening(id));
  devices = after(devices, decision, incarnation);
  return decision.epoch;
}

TEST(SessionRules, epochs_of_a_time_without_restore_follow_each_other) {
  Devices devices;
  EXPECT_EQ(log_in(devices, k_phone, 77), 5001u);
  const uint32_t second = log_in(devices, k_phone, 77);
  EXPECT_GT(second, 5001u);
  EXPECT_EQ(log_in(devices, k_phone, 77), second + 1);
  EXPECT_EQ(log_in(devices, k_phone, 77), second + 2);
}

TEST(SessionRules, no_epoch_of_a_lost_time_is_given_out_again) {
  for (const bool known : {true, false}) {  // Whether the backup knows the device, or the lost time alone did.
    Devices devices;
    log_in(devices, k_tablet, 77);
    log_in(devices, k_tablet, 77);
    if (known) log_in(devices, k_phone, 77);
    std::set<uint32_t> met;
    // The same backup again and again: each time other sessions follow, and none is met twice.
    for (const uint64_t incarnation : {77ULL, 0x9123456789abcdefULL, 0x0fedcba987654321ULL, 1ULL}) {
      Devices restored = devices;
      restored.header.incarnation = incarnation;
      for (int i = 0; i < 50; ++i) {
        EXPECT_TRUE(met.insert(log_in(restored, k_phone, incarnation)).second) << known << ' ' << incarnation << ' ' << i;
        restored = after(restored, close_session(k_phone, restored.rows.at(k_phone)), incarnation);
        met.insert(restored.rows.at(k_phone).epoch());
      }
      EXPECT_GT(log_in(restored, k_tablet, incarnation), devices.rows.at(k_tablet).epoch());
    }
  }
}

TEST(SessionRules, epochs_run_up_to_their_end_without_turning_over) {
  Devices devices;
  uint32_t before = log_in(devices, k_phone, 1);
  for (uint64_t restore = 2; restore < 5000; ++restore) {
    devices.header.incarnation = restore * 0x9e3779b97f4a7c15ULL;
    const uint32_t now = log_in(devices, k_phone, devices.header.incarnation);
    ASSERT_GT(now, before) << restore;
    before = now;
    if (UINT32_MAX - now < 8) return;
  }
}

}  // namespace
}  // namespace hongyan::device
