// An ordered byte map that survives crashes: what an engine of one node rests on. Two of them: rocks_backend (the
// embedded default) and log_backend (WAL and map on Env's disk, for the simulator). The commit algebra
// (evaluate.h) and the queue before it (shard.h) are written once, above this.
//
// Durability: write() has synced when it returns ok, and a batch is seen whole or not at all, by readers and after a
// crash. One writer at a time; readers beside it only where reads_beside_writes().
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/engine/keys.h"

namespace hongyan::store {

struct Write {
  Space space;
  std::string key;
  std::optional<std::string> value;  // Absent: erase.
};

// How far a read may go. memory: what would touch the disk answers Code::busy instead.
enum class Reach { memory, disk };

// A walk over [lower, upper) as it was when the cursor was made; an empty upper: to the end. Where it is not valid,
// status() says whether that is the end or an error. Views last until the next move.
class Cursor {
 public:
  virtual ~Cursor() = default;
  virtual void seek(std::string_view key) = 0;           // First key >= key.
  virtual void seek_before(std::string_view key) = 0;    // Last key < key; an empty key: the last there is.
  virtual void next() = 0;
  virtual void previous() = 0;
  virtual bool valid() const = 0;
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  virtual Status status() const = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual Result<std::optional<std::string>> get(Space space, std::string_view key, Reach reach) = 0;
  virtual std::unique_ptr<Cursor> cursor(Space space, std::string lower, std::string upper, Reach reach) = 0;
  // no_space leaves everything as it was, and resume() must succeed before the next write; after any other error
  // what the disk holds is unknown and nothing may be written any more.
  //
  // `durable`, unless empty, is called from within, on this thread, once at most, when no crash can undo the batch any
  // more and readers may not see it yet. An engine to which these are one moment does not call it. When write() then
  // fails all the same, the batch is there when the backend is opened again.
  using Durable = std::function<void()>;
  virtual Status write(const std::vector<Write>& batch, const Durable& durable) = 0;
  virtual Status resume() = 0;
  virtual bool reads_beside_writes() const = 0;
  // A copy that opens as a data directory of its own. Runs beside reads and writes where those may.
  virtual Status checkpoint(const std::string& directory) = 0;
};

}  // namespace hongyan::store
