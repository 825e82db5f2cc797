// hongyan-inbox: data/inbox as a process of its own.
#include "data/inbox/inbox_service.h"

#include "process/process.h"

int main(int argc, char** argv) {
  using namespace hongyan;
  return process::run(argc, argv, "inbox", [](process::Process& process) {
    return process.serve(inbox::make_inbox(process.env(), process::inbox_deps(process), process.settings().inbox));
  });
}
