// hongyan-device: data/device as a process of its own.
#include "data/device/device_service.h"

#include "process/process.h"

int main(int argc, char** argv) {
  using namespace hongyan;
  return process::run(argc, argv, "device", [](process::Process& process) {
    return process.serve(device::make_device(process.env(), process::device_deps(process), {}));
  });
}
