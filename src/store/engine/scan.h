// Reads as steps: a scan looks at so many rows and returns, so that its caller can look at the clock and let others
// have their turn. All that one scan answers is of one moment.
//
// step() is ok when the scan has finished or has more to do (finished()); Code::busy when its reach is memory and the
// disk is needed: throw the scan away and begin again with Reach::disk.
#pragma once

#include <memory>
#include <string>

#include "store/engine/backend.h"
#include "store/engine/evaluate.h"

namespace hongyan::store {

Status check_read(const Tables& tables, const Read& read);
Status check_changes(const Tables& tables, const EntityId& entity);

class ReadScan {
 public:
  // `read` has passed check_read and outlives the scan.
  ReadScan(Backend& backend, const Read& read, Reach reach, uint64_t restore_salt);
  Status step(size_t rows_max);
  bool finished() const { return finished_; }
  ReadReply take() { return std::move(reply_); }

 private:
  Status start();
  Status look();  // At what is under the cursor.

  const Read& read_;
  const uint64_t restore_salt_;
  const std::string prefix_;  // Of the entity's rows.
  const std::string end_;
  const size_t rows_max_;
  const size_t bytes_max_;
  std::unique_ptr<Cursor> cursor_;
  bool started_ = false;
  bool finished_ = false;
  size_t bytes_ = 0;
  ReadReply reply_;
};

class ChangesScan {
 public:
  ChangesScan(Backend& backend, const EntityId& entity, uint64_t since, size_t rows_max, Reach reach, uint64_t restore_salt);
  Status step(size_t rows_max);
  bool finished() const { return finished_; }
  ChangesReply take() { return std::move(reply_); }

 private:
  Status start();
  Status collect(size_t rows_max);  // Entries of the index.
  Status fill(size_t rows_max);     // Their rows, by the same cursor.

  const EntityId entity_;
  const uint64_t since_;
  const uint64_t restore_salt_;
  const std::string prefix_;  // Of the entity's change index.
  const size_t rows_max_;
  std::unique_ptr<Cursor> cursor_;
  bool started_ = false;
  bool collected_ = false;
  bool finished_ = false;
  size_t filled_ = 0;
  size_t bytes_ = 0;
  ChangesReply reply_;
};

}  // namespace hongyan::store
