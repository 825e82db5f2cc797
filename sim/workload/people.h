// The people of a run and what they do: sign up, make friends, chat, make groups and change them, read, drop off, come
// back, log out and in, take a new device. Between it all somebody tries what is not allowed, and must be refused.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/workload/device.h"

namespace hongyan::sim {

struct Person {
  std::string name;
  std::string password;
  std::vector<std::unique_ptr<Device>> devices;
  bool blocking = false;        // One of the devices blocks somebody for a moment.
  Time unblocked_until{};       // An unblocking request may be under way as long.
  uint64_t uin() const { return devices.front()->uin(); }
};

struct KnownGroup {
  uint64_t id = 0;
  size_t owner = 0;  // Index of the person.
  Said created;
};

class People {
 public:
  People(Stage& stage, size_t count);

  // Coroutines of the stage's domain. Everybody has an account and friends when befriend_all() is done.
  void sign_up_all();
  bool ready() const { return ready_; }
  // From now until rest() everybody acts.
  void act();
  void rest() { acting_ = false; }
  // Nothing is under way any more at any device that is logged in.
  bool settled() const;
  std::string unsettled() const;
  // Everybody online and logged in on every device.
  void come_back();

  std::vector<Person>& persons() { return persons_; }
  const std::vector<KnownGroup>& groups() const { return groups_; }
  // A new device of a person, logged in: it knows nothing yet. In a coroutine.
  Device& fresh_device(Person& person);
  // The last person is nobody's friend but the first one's neighbours': see befriends().
  bool befriends(size_t a, size_t b) const;

 private:
  void set_up(size_t person);
  void live(size_t person, Device& device);
  void act_once(size_t person, Device& device);
  void write_direct(size_t person, Device& device);
  void write_group(size_t person, Device& device);
  void make_group(size_t person, Device& device);
  void change_group(size_t person, Device& device);
  void read(size_t person, Device& device);
  void set_conversation(Device& device);
  void block(size_t person, Device& device);
  void drop_off(Device& device);
  void log_out_and_in(size_t person, Device& device);
  void kick(size_t person, Device& device);
  void probe(size_t person, Device& device);
  void probe_snapshot(Device& device);
  void probe_ticket(Device& device);
  void probe_stranger(size_t person, Device& device);
  void probe_group(size_t person, Device& device);
  template <typename Response>
  void must_refuse(const Heard<Response>& heard, const std::string& what);
  const KnownGroup* some_group(const Device& device);
  void pause(Duration least, Duration most);

  Stage& stage_;
  Random random_;
  std::vector<Person> persons_;
  std::vector<KnownGroup> groups_;
  size_t devices_ = 0;
  size_t signed_up_ = 0;
  size_t set_up_ = 0;
  bool ready_ = false;
  bool acting_ = false;
  uint64_t next_group_ = 1;
  size_t probes_ = 0;
};

}  // namespace hongyan::sim
