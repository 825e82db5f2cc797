// Hostile bytes as records and messages. The first byte chooses: 0 a record, 1 a message, 2 a stream of sized messages that a
// replica takes. Nothing may crash; what is accepted is written as it was read, and the record after any step can be read.
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "store/paxos/replica.h"

namespace hongyan::store::paxos {
namespace {

void take_all(std::string_view bytes) {
  Replica replica({.epoch = 1, .size = 3}, {.self = 0, .life = 1, .session = 1}, {});
  Reader reader(bytes);
  Ticket ticket = 0;
  while (!reader.empty()) {
    const auto sized = reader.sized();
    if (!sized) return;
    Output out;
    if (sized->empty()) {
      out = replica.step(++ticket % 3 == 0 ? Input(Retry{}) : ticket % 3 == 1 ? Input(Submit{ticket}) : Input(Read{ticket}));
    } else {
      auto message = parse_message(*sized);
      if (!message.ok()) continue;
      // The connection says who speaks; bytes can't.
      if (message->from == 0) message->from = 1;
      out = replica.step(*message);
    }
    if (!out.broken.empty()) return;
    if (out.evaluate) out = replica.step(Evaluated{.index = out.evaluate->index, .body = "x", .inside = out.evaluate->tickets});
    if (!out.broken.empty()) return;
    const auto record = parse_record(encode(replica.state().record));
    CHECK(record.ok());
  }
}

void run(std::string_view input) {
  if (input.empty()) return;
  const int mode = input[0] & 3;
  input.remove_prefix(1);
  if (mode == 0) {
    const auto record = parse_record(input);
    if (record.ok()) CHECK(parse_record(encode(*record)).ok());
  } else if (mode == 1) {
    const auto message = parse_message(input);
    if (message.ok()) CHECK(encode(*parse_message(encode(*message))) == encode(*message));
  } else {
    take_all(input);
  }
}

}  // namespace
}  // namespace hongyan::store::paxos

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hongyan::store::paxos::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
