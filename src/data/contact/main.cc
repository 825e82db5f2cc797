// hongyan-contact: data/contact as a process of its own.
#include "data/contact/contact_service.h"

#include "process/process.h"

int main(int argc, char** argv) {
  using namespace hongyan;
  return process::run(argc, argv, "contact", [](process::Process& process) {
    return process.serve(contact::make_contact(process.env(), process::contact_deps(process), {}));
  });
}
