// hongyan-group: data/group as a process of its own.
#include "data/group/group_service.h"

#include "process/process.h"

int main(int argc, char** argv) {
  using namespace hongyan;
  return process::run(argc, argv, "group", [](process::Process& process) {
    group::GroupConfig config = process.settings().group;
    config.share = process.share();
    return process.serve(group::make_group(process.env(), process::group_deps(process), config));
  });
}
