// hongyan-inbox: data/inbox as a process of its own.
#include "data/inbox/inbox_service.h"

#include "process/process.h"

int main(int argc, char** argv) {
  using namespace hongyan;
  return process::run(argc, argv, "inbox", [](process::Process& process) {
    inbox::InboxConfig config = process.settings().inbox;
    config.share = process.share();
    config.alone = false;  // Other workers, or an old one that drains.
    return process.serve(inbox::make_inbox(process.env(), process::inbox_deps(process), config));
  });
}
