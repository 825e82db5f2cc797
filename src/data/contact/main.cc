// hongyan-contact: data/contact as a process of its own.
#include "data/contact/contact_service.h"

#include "process/process.h"

int main(int argc, char** argv) {
  using namespace hongyan;
  return process::run(argc, argv, "contact", [](process::Process& process) {
    // Another process may deliver what a request of this one left, but not while that may still run: no call of a gate
    // takes longer.
    const contact::ContactConfig config{.share = process.share(), .grace = std::chrono::seconds(15)};
    return process.serve(contact::make_contact(process.env(), process::contact_deps(process), config));
  });
}
