// What single copies do, for linearizable.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace hongyan::store::history {

// A row with its entity's version, as store/entity has it: put, put if the version is this, read.
struct RowModel {
  struct State {
    uint64_t version = 0;
    std::string value = {};
  };
  struct Call {
    enum class Kind : uint8_t { put, put_if, read } kind = Kind::read;
    std::string value = {};
    uint64_t version = 0;  // put_if.
  };
  struct Return {
    bool committed = true;   // put_if: false when the version was another.
    uint64_t version = 0;    // After a commit; otherwise as it was found.
    std::string value = {};  // read.
  };
  static bool step(State& state, const Call& call, const Return* result) {
    if (call.kind == Call::Kind::read) return result == nullptr || (result->version == state.version && result->value == state.value);
    const bool passes = call.kind == Call::Kind::put || state.version == call.version;
    if (passes) {
      state.version += 1;
      state.value = call.value;
    }
    return result == nullptr || (result->committed == passes && result->version == state.version);
  }
  static void append_to(std::string& out, const State& state) {
    put_varint(out, state.version);
    out += state.value;
  }
};

// A list that is appended to: every answer shows all that went before, so that a wrong order anywhere is seen.
struct ListModel {
  struct State { std::string items = {}; };
  struct Call {
    enum class Kind : uint8_t { append, append_if, read } kind = Kind::read;
    std::string item = {};
    size_t length = 0;  // append_if: passes when the list has this many bytes.
  };
  struct Return {
    bool done = true;         // append_if: false when the length was another.
    std::string items = {};   // As it was found, or with the item.
  };
  static bool step(State& state, const Call& call, const Return* result) {
    const bool passes = call.kind == Call::Kind::append || (call.kind == Call::Kind::append_if && state.items.size() == call.length);
    if (passes) state.items += call.item;
    const bool done = call.kind == Call::Kind::read || passes;
    return result == nullptr || (result->done == done && result->items == state.items);
  }
  static void append_to(std::string& out, const State& state) { out += state.items; }
};

}  // namespace hongyan::store::history
