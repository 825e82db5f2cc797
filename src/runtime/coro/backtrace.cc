#include "runtime/coro/backtrace.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

namespace hongyan::runtime {

namespace {

std::string describe(const void* instruction, bool offset) {
  Dl_info info{};
  const auto address = reinterpret_cast<uintptr_t>(instruction);
  if (dladdr(instruction, &info) == 0) return fmt::format("{:#x}", address);
  if (info.dli_sname == nullptr) {
    const std::string_view path = info.dli_fname;
    return fmt::format("{}+{:#x}", path.substr(path.rfind('/') + 1),
                       address - reinterpret_cast<uintptr_t>(info.dli_fbase));
  }
  int status = 0;
  char* const demangled = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
  const std::string name = status == 0 ? demangled : info.dli_sname;
  std::free(demangled);
  return offset ? fmt::format("{}+{:#x}", name, address - reinterpret_cast<uintptr_t>(info.dli_saddr)) : name;
}

}  // namespace

std::string describe_frame(const void* instruction) { return describe(instruction, true); }

std::string describe_function(const void* instruction) { return describe(instruction, false); }

}  // namespace hongyan::runtime
