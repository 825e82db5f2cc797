// Hostile bytes as the log engine's files, and as the rows that the commit algebra and reads find in an engine. The
// first byte chooses: 0 the bytes are a log, 1 a checkpoint, 2 the payload of a good record, 3 rows, each kind(u8) ·
// key(sized) · value(sized), of one entity. Nothing may crash; what opens must take a commit and open again.
#include <algorithm>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "store/engine/evaluate.h"
#include "store/engine/testing/fault_disk.h"
#include "store/engine/log_backend.h"
#include "store/engine/log_record.h"
#include "store/engine/scan.h"

namespace hongyan::store {
namespace {

constexpr uint64_t k_salt = 7;
const char* const k_directory = "/log";

std::string log_of(std::string_view payload) {
  std::string file = file_head(k_log_magic, k_salt);
  put_record(file, k_salt, 1, payload);
  return file;
}

std::string rows_of(std::string_view bytes, const EntityId& entity) {
  std::string payload;
  Reader reader(bytes);
  while (!reader.empty()) {
    const auto kind = reader.u8();
    const auto key = reader.sized();
    const auto value = reader.sized();
    if (!key || !value) break;
    const std::string row = row_key(entity, static_cast<Kind>(*kind % 5), *key);
    const std::string content(*value);
    put_operation(payload, Space::rows, row, &content);
    if (*kind >= 128) put_operation(payload, Space::work, work_key(entity, 1), &content);
  }
  return payload;
}

// Everything that reads rows, on whatever is there.
void use(Backend& backend, const Tables& tables, const EntityId& entity) {
  for (const auto direction : {Direction::forward, Direction::backward}) {
    const Read read{.entity = entity, .direction = direction, .filters = {{.field = 1, .number = 1}}, .projection = {1, 2}};
    ReadScan scan(backend, read, Reach::disk, 0);
    while (scan.step(10).ok() && !scan.finished()) {
    }
  }
  for (const uint64_t since : {uint64_t{0}, uint64_t{1}, uint64_t{5}}) {
    ChangesScan scan(backend, entity, since, 3, Reach::disk, 0);
    while (scan.step(10).ok() && !scan.finished()) {
    }
  }
  CommitCache cache;
  Evaluation evaluation(tables, backend, cache, {.utc_ms = 2'000'000, .entropy = 1});
  std::string id = std::string("\0\0\0\0\0\0", 6) + "1234567890";
  id[3] = 30, id[4] = 70;  // 1,984,000 ms.
  for (const std::string key : {"", "k"}) {
    (void)evaluation.evaluate({.entity = entity,
                               .request_id = id,
                               .preconditions = {{.kind = Precondition::Kind::row_version, .key = key, .value = 0}},
                               .mutations = {{.kind = Mutation::Kind::put, .key = key, .value = "v"},
                                             {.kind = Mutation::Kind::add, .key = "n", .number = 1}},
                               .mark_work = 1}).ok();
    (void)evaluation.evaluate({.entity = entity, .mutations = {{.kind = Mutation::Kind::erase, .key = key}}}).ok();
    (void)evaluation.evaluate({.entity = entity, .visibility = Visibility::silent, .work_done = WorkDone{1, 9}, .raise_floor = 4}).ok();
  }
  CHECK(backend.write(evaluation.take_writes(), {}).ok());
}

void run(std::string_view input) {
  if (input.empty()) return;
  const int mode = input[0] & 3;
  input.remove_prefix(1);
  const EntityId entity{1, "e"};
  const Tables tables({{.id = 1, .name = "t", .tracked = true}});
  FaultDisk disk;
  (void)disk.make_directories(k_directory).ok();
  const std::string name = mode == 1 ? "/log/checkpoint.3" : "/log/log.1";
  auto file = disk.open(name, runtime::OpenMode::create);
  CHECK(file.ok());
  const std::string content = mode == 2 ? log_of(input) : mode == 3 ? log_of(rows_of(input, entity)) : std::string(input);
  CHECK((*file)->append(content).ok());

  auto backend = open_log_backend(disk, 1, k_directory, {.log_bytes_max = 512});
  if (!backend.ok()) return;
  use(**backend, tables, entity);
  backend->reset();
  const auto again = open_log_backend(disk, 2, k_directory, {.log_bytes_max = 512});
  CHECK(again.ok());
}

}  // namespace
}  // namespace hongyan::store

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hongyan::store::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
