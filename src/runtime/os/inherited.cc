#include "runtime/os/inherited.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <new>
#include <optional>
#include <string_view>

#include "runtime/os/errors.h"

namespace hongyan::runtime {
namespace {

// More workers than any machine has cores.
constexpr size_t k_cells_max = 4096;

std::optional<size_t> number(std::string_view text, size_t max) {
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > max) return {};
  return value;
}

// Up to `end`, which is taken too.
std::string_view cut(std::string_view& text, char end) {
  const size_t at = text.find(end);
  const std::string_view head = text.substr(0, at);
  text.remove_prefix(at == text.npos ? text.size() : at + 1);
  return head;
}

}  // namespace

Result<LoadBoard::Cell*> LoadBoard::map(int descriptor, size_t cells) {
  void* const at = ::mmap(nullptr, cells * sizeof(Cell), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (at == MAP_FAILED) return network_error(errno, "map the board");
  return static_cast<Cell*>(at);  // Zeros are cells: atomics without locks.
}

Result<std::unique_ptr<LoadBoard>> LoadBoard::create(size_t cells) {
  const int descriptor = ::memfd_create("workers", MFD_CLOEXEC);
  if (descriptor < 0) return network_error(errno, "make the board");
  if (::ftruncate(descriptor, static_cast<off_t>(cells * sizeof(Cell))) != 0) {
    const int error = errno;
    ::close(descriptor);
    return network_error(error, "make the board");
  }
  auto at = map(descriptor, cells);
  if (!at.ok()) {
    ::close(descriptor);
    return at.status();
  }
  return std::unique_ptr<LoadBoard>(new LoadBoard(descriptor, cells, 0, *at));
}

Result<std::shared_ptr<LoadBoard>> LoadBoard::open(int descriptor, size_t cells, size_t own) {
  struct stat about {};
  if (cells == 0 || cells > k_cells_max || own >= cells) return Status(Code::invalid, "the board has no such cell");
  if (::fstat(descriptor, &about) != 0 || static_cast<size_t>(about.st_size) < cells * sizeof(Cell)) {
    return Status(Code::invalid, "the board is too small");
  }
  Cell* const at = TRY(map(descriptor, cells));
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  return std::shared_ptr<LoadBoard>(new LoadBoard(descriptor, cells, own, at));
}

LoadBoard::~LoadBoard() {
  ::munmap(cells_, count_ * sizeof(Cell));
  ::close(descriptor_);
}

bool LoadBoard::others_have_fewer() const {
  const uint32_t mine = open_in(own_);
  for (size_t i = 0; i < count_; ++i) {
    if (i != own_ && cells_[i].in_line.load(std::memory_order_relaxed) != 0 && open_in(i) < mine) return true;
  }
  return false;
}

void LoadBoard::enter(size_t cell) {
  cells_[cell].open.store(0, std::memory_order_relaxed);
  cells_[cell].in_line.store(1, std::memory_order_relaxed);
}

Result<Inherited> parse_inherited(const std::string& text) {
  Inherited out;
  std::string_view rest = text;
  while (!rest.empty()) {
    std::string_view value = cut(rest, ' ');
    if (value.empty()) continue;
    const std::string_view key = cut(value, '=');
    const Status wrong(Code::invalid, std::string(k_worker_variable) + ": " + std::string(key) + "=" + std::string(value));
    if (key == "board") {
      const auto descriptor = number(cut(value, ','), INT32_MAX), cells = number(cut(value, ','), k_cells_max),
                 own = number(value, k_cells_max);
      if (!descriptor || !cells || !own) return wrong;
      out.board = TRY(LoadBoard::open(static_cast<int>(*descriptor), *cells, *own));
    } else if (key == "share") {
      const auto index = number(cut(value, ','), k_cells_max), count = number(value, k_cells_max);
      if (!index || !count || *index >= *count) return wrong;
      out.share = {.index = static_cast<uint32_t>(*index), .count = static_cast<uint32_t>(*count)};
    } else {
      const auto descriptor = number(value, INT32_MAX);
      if (!descriptor || ::fcntl(static_cast<int>(*descriptor), F_SETFD, FD_CLOEXEC) != 0) return wrong;
      out.listeners.emplace(key, static_cast<int>(*descriptor));
    }
  }
  return out;
}

}  // namespace hongyan::runtime
