// Bytes that wait to be written to a stream: filled in place at the back, taken from the front. Blocks go back to a
// pool when they are empty, so that a connection with nothing to say holds none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"

namespace hongyan::rpc {

class OutputBuffer {
 public:
  struct Block {
    std::unique_ptr<char[]> bytes;
    size_t capacity = 0;
  };
  class Pool {
   public:
    Block take() {
      if (free_.empty()) return {std::make_unique_for_overwrite<char[]>(k_block_bytes), k_block_bytes};
      Block block = std::move(free_.back());
      free_.pop_back();
      return block;
    }
    void give_back(Block block) {
      if (block.capacity <= k_kept_bytes_max && free_.size() < k_kept_blocks) free_.push_back(std::move(block));
    }

   private:
    static constexpr size_t k_block_bytes = 16 * 1024;
    static constexpr size_t k_kept_bytes_max = 128 * 1024;
    static constexpr size_t k_kept_blocks = 64;
    std::vector<Block> free_;
  };

  explicit OutputBuffer(Pool& pool) : pool_(pool) {}
  ~OutputBuffer() { clear(); }
  OutputBuffer(const OutputBuffer&) = delete;
  OutputBuffer& operator=(const OutputBuffer&) = delete;

  bool empty() const { return begin_ == end_; }
  size_t size() const { return end_ - begin_; }
  std::string_view view() const { return {block_.bytes.get() + begin_, size()}; }

  // Room for `bytes` more, all of which the caller fills.
  char* add(size_t bytes) {
    if (block_.capacity - end_ < bytes) make_room(bytes);
    char* const place = block_.bytes.get() + end_;
    end_ += bytes;
    return place;
  }
  void append(std::string_view bytes) { std::memcpy(add(bytes.size()), bytes.data(), bytes.size()); }
  void take(size_t bytes) {
    CHECK(bytes <= size());
    begin_ += bytes;
    if (empty()) clear();
  }
  void clear() {
    begin_ = end_ = 0;
    if (block_.bytes != nullptr) pool_.give_back(std::exchange(block_, {}));
  }

 private:
  void make_room(size_t bytes) {
    const size_t held = size();
    Block larger = block_.bytes == nullptr ? pool_.take() : Block();
    if (larger.capacity < held + bytes) {
      const size_t capacity = std::max(2 * block_.capacity, held + bytes);
      larger = {std::make_unique_for_overwrite<char[]>(capacity), capacity};
    }
    if (held > 0) std::memcpy(larger.bytes.get(), block_.bytes.get() + begin_, held);
    if (block_.bytes != nullptr) pool_.give_back(std::move(block_));
    block_ = std::move(larger);
    begin_ = 0;
    end_ = held;
  }

  Pool& pool_;
  Block block_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace hongyan::rpc
