// hongyan-store: the store of one node as a process of its own, for the data services. Its data directory is that of
// hongyan-server: either may open it, one at a time.
#include "store/server/store_server.h"

#include "model/tables.h"
#include "process/process.h"
#include "store/engine/open.h"
#include "store/server/store_guard.h"

namespace hongyan {
namespace {

std::vector<store::TableSpec> tables() {
  std::vector<store::TableSpec> specs;
  for (const model::TableName& table : model::k_tables) {
    specs.push_back({.id = table.id, .name = table.name, .table_class = store::TableClass::rows, .tracked = table.tracked});
  }
  return specs;
}

store::Owners owners() {
  store::Owners owners;
  for (const model::TableName& table : model::k_tables) owners.tables.emplace(table.id, table.writer);
  for (const model::WorkName& work : model::k_works) owners.works.emplace(work.tag, work.worker);
  return owners;
}

rpc::AudienceKeys callers(const process::Secrets& secrets) {
  rpc::AudienceKeys rings;
  for (const char* name : {"account", "device", "contact", "group", "inbox", "operator"}) {
    rings.emplace(name, secrets.ring(std::string("store.") + name));
  }
  return rings;
}

Status make(process::Process& process) {
  Env& env = process.env();
  const std::string data = process.options().data;
  TRY(env.disk().make_directories(data));
  store::OpenOptions open;
  open.directory = data + "/store";
  open.tables = tables();
  open.rocks.block_cache_bytes = static_cast<size_t>(process.config().integer("store.cache_mib")) << 20;
  auto& opened = process.keep(TRY(store::open_store(env, std::move(open))));
  process.on_stop([&opened](Call&) { opened.shard().close(); });

  const auto checkpoint = [&env, &opened, data](Call& call, const std::string& name) -> Result<std::string> {
    const std::string directory = data + "/checkpoints/" + name;
    if (env.disk().exists(directory)) return Status(Code::exists, directory + " is there already");
    TRY(env.disk().make_directories(data + "/checkpoints"));
    TRY(store::backup_store(call, env, opened, store::EngineKind::rocks, directory));
    return directory;
  };
  auto& server = process.keep(std::make_unique<store::StoreServer>(env, opened.shard(), owners(), checkpoint));
  auto& guard = process.keep(std::make_unique<store::StoreGuard>(env, callers(process.secrets())));
  process.on_drain([&server](Call&) { server.stop_waiting(); });
  return process.serve_at("store", server, &guard);
}

}  // namespace
}  // namespace hongyan

int main(int argc, char** argv) { return hongyan::process::run(argc, argv, "store", hongyan::make); }
