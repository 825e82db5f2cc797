// What a worker process has from its master: listening sockets, and a board on which all workers of one master write
// how many connections each has, so that a new one goes to who has the fewest.
//
// Environment variable, read once by the worker that was started with it:
//   HONGYAN_WORKER="board=DESCRIPTOR,CELLS,OWN ADDRESS=DESCRIPTOR ..."     workers that share sockets
//   HONGYAN_WORKER="share=INDEX,COUNT ADDRESS=DESCRIPTOR ..."              workers that have their own
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/share.h"
#include "runtime/time.h"

namespace hongyan::runtime {

inline constexpr const char* k_worker_variable = "HONGYAN_WORKER";

// Memory shared by a master and its workers. A cell is one worker's; the master says who is in line.
class LoadBoard {
 public:
  static Result<std::unique_ptr<LoadBoard>> create(size_t cells);
  static Result<std::shared_ptr<LoadBoard>> open(int descriptor, size_t cells, size_t own);
  ~LoadBoard();
  LoadBoard(const LoadBoard&) = delete;
  LoadBoard& operator=(const LoadBoard&) = delete;

  int descriptor() const { return descriptor_; }
  size_t own() const { return own_; }  // The worker's cell; another's when that one has ended.
  // --- the worker ---
  void opened() { cells_[own_].open.fetch_add(1, std::memory_order_relaxed); }
  void closed() { cells_[own_].open.fetch_sub(1, std::memory_order_relaxed); }
  // Somebody in line has fewer: let him have the next one.
  bool others_have_fewer() const;
  // --- the master ---
  void enter(size_t cell);
  void leave(size_t cell) { cells_[cell].in_line.store(0, std::memory_order_relaxed); }
  uint32_t open_in(size_t cell) const { return cells_[cell].open.load(std::memory_order_relaxed); }

 private:
  struct alignas(64) Cell {
    std::atomic<uint32_t> open;
    std::atomic<uint32_t> in_line;
  };
  LoadBoard(int descriptor, size_t cells, size_t own, Cell* at) : descriptor_(descriptor), count_(cells), own_(own), cells_(at) {}
  static Result<Cell*> map(int descriptor, size_t cells);

  const int descriptor_;
  const size_t count_;
  const size_t own_;
  Cell* const cells_;
};

struct Inherited {
  std::map<std::string, int> listeners;  // By the address that the service asks for.
  std::shared_ptr<LoadBoard> board;      // Null: nobody shares them.
  Share share = {};                      // Which worker it is of how many.
};

// Code::invalid: not what a master writes.
Result<Inherited> parse_inherited(const std::string& text);

}  // namespace hongyan::runtime
