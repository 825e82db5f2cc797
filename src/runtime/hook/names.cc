// Names: of hosts, of environment variables, of directories' entries.
#undef _FORTIFY_SOURCE  // Its inline functions would have the names defined here.
#include <dirent.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include <atomic>
#include <mutex>
#include <string_view>

#include "runtime/hook/real.h"
#include "runtime/hook/served.h"
#include "runtime/hook/state.h"

DECLARE_REAL(getaddrinfo);
DECLARE_REAL(getnameinfo);
DECLARE_REAL(gethostbyname);
DECLARE_REAL(gethostbyname2);
DECLARE_REAL(gethostbyaddr);
DECLARE_REAL(gethostbyname_r);
DECLARE_REAL(gethostbyname2_r);
DECLARE_REAL(gethostbyaddr_r);
DECLARE_REAL(setenv);
DECLARE_REAL(unsetenv);
DECLARE_REAL(opendir);
DECLARE_REAL(readdir);
DECLARE_REAL(readdir64);
DECLARE_REAL(closedir);

namespace hongyan::runtime::hook {
namespace {

// The first answer's space; glibc says ERANGE when it needs more. No resolver's answer is larger
// than the last.
constexpr size_t k_host_bytes = 1024;
constexpr size_t k_host_bytes_max = 1024 * 1024;

// The forms of gethostbyX() that return a pointer to what the next call overwrites: here each
// Scope has its own. `ask(host, buffer, bytes, result, h_error)` is the _r form.
template <typename Ask>
hostent* host_of(State& state, Ask ask) {
  hostent* result = nullptr;
  int h_error = 0;
  if (state.host_bytes.empty()) state.host_bytes.resize(k_host_bytes);
  for (;;) {
    const int error = in_pool(state, [&] {
      return ask(&state.host, state.host_bytes.data(), state.host_bytes.size(), &result, &h_error);
    });
    if (error != ERANGE || state.host_bytes.size() >= k_host_bytes_max) break;
    state.host_bytes.resize(state.host_bytes.size() * 2);
  }
  if (result == nullptr) h_errno = h_error;
  return result;
}

// What leaves its answer where the caller says, or in what the caller opened.
template <typename Ask>
auto in_pool_or_here(Ask ask) {
  State* state = active();
  return state == nullptr ? ask() : in_pool(*state, ask);
}

bool good_name(const char* name) {
  return name != nullptr && name[0] != '\0' && strchr(name, '=') == nullptr;
}

// An open directory of a Mount, handed out as a DIR*.
struct ServedDirectory {
  std::vector<std::string> names;
  size_t next = 0;
  dirent entry{};
  ServedDirectory* newer = nullptr;  // Of the list of all.
};

// Tells a ServedDirectory from libc's DIR. Part of the process like libc's names.
struct Directories {
  std::mutex mutex;
  ServedDirectory* newest = nullptr;
  std::atomic<int> open{0};
};
constinit Directories directories;

ServedDirectory* served_directory(DIR* directory) {
  if (directories.open.load(std::memory_order_relaxed) == 0) return nullptr;
  std::lock_guard lock(directories.mutex);
  ServedDirectory* found = directories.newest;
  while (found != nullptr && static_cast<void*>(found) != directory) found = found->newer;
  return found;
}

DIR* open_served(const char* path) {
  auto* directory = new ServedDirectory;
  if (served::list(path, directory->names) != 0) {
    delete directory;
    return nullptr;
  }
  directory->names.insert(directory->names.begin(), {".", ".."});
  std::lock_guard lock(directories.mutex);
  directory->newer = directories.newest;
  directories.newest = directory;
  ++directories.open;
  return reinterpret_cast<DIR*>(directory);
}

dirent* next_of(ServedDirectory& directory) {
  while (directory.next < directory.names.size()) {
    const std::string& name = directory.names[directory.next++];
    if (name.size() >= sizeof(directory.entry.d_name)) continue;  // No library could read it.
    directory.entry.d_ino = directory.next;
    directory.entry.d_off = static_cast<off_t>(directory.next);
    directory.entry.d_reclen = sizeof(dirent);
    directory.entry.d_type = DT_UNKNOWN;
    memcpy(directory.entry.d_name, name.c_str(), name.size() + 1);
    return &directory.entry;
  }
  return nullptr;
}

void close_served(ServedDirectory* directory) {
  {
    std::lock_guard lock(directories.mutex);
    ServedDirectory** place = &directories.newest;
    while (*place != directory) place = &(*place)->newer;
    *place = directory->newer;
    --directories.open;
  }
  delete directory;
}

}  // namespace
}  // namespace hongyan::runtime::hook

using namespace hongyan::runtime::hook;  // What follows are libc's names.

extern "C" {

char hongyan_hook_names = 0;

int HOOKED(getaddrinfo)(const char* host, const char* service, const addrinfo* hints,
                        addrinfo** results) {
  return in_pool_or_here([&] { return REAL(getaddrinfo)(host, service, hints, results); });
}

int HOOKED(getnameinfo)(const sockaddr* address, socklen_t bytes, char* host, socklen_t host_bytes,
                        char* service, socklen_t service_bytes, int flags) {
  return in_pool_or_here([&] {
    return REAL(getnameinfo)(address, bytes, host, host_bytes, service, service_bytes, flags);
  });
}

int HOOKED(gethostbyname_r)(const char* name, hostent* host, char* buffer, size_t bytes,
                            hostent** result, int* h_error) {
  return in_pool_or_here(
      [&] { return REAL(gethostbyname_r)(name, host, buffer, bytes, result, h_error); });
}

int HOOKED(gethostbyname2_r)(const char* name, int family, hostent* host, char* buffer,
                             size_t bytes, hostent** result, int* h_error) {
  return in_pool_or_here(
      [&] { return REAL(gethostbyname2_r)(name, family, host, buffer, bytes, result, h_error); });
}

int HOOKED(gethostbyaddr_r)(const void* address, socklen_t address_bytes, int family, hostent* host,
                            char* buffer, size_t bytes, hostent** result, int* h_error) {
  return in_pool_or_here([&] {
    return REAL(gethostbyaddr_r)(address, address_bytes, family, host, buffer, bytes, result,
                                 h_error);
  });
}

hostent* HOOKED(gethostbyname)(const char* name) {
  State* state = active();
  if (state == nullptr) return REAL(gethostbyname)(name);
  return host_of(*state, [&](auto... where) { return REAL(gethostbyname_r)(name, where...); });
}

hostent* HOOKED(gethostbyname2)(const char* name, int family) {
  State* state = active();
  if (state == nullptr) return REAL(gethostbyname2)(name, family);
  return host_of(*state,
                 [&](auto... where) { return REAL(gethostbyname2_r)(name, family, where...); });
}

hostent* HOOKED(gethostbyaddr)(const void* address, socklen_t bytes, int family) {
  State* state = active();
  if (state == nullptr) return REAL(gethostbyaddr)(address, bytes, family);
  return host_of(*state, [&](auto... where) {
    return REAL(gethostbyaddr_r)(address, bytes, family, where...);
  });
}

char* HOOKED(getenv)(const char* name) noexcept {
  const std::string_view wanted(name);
  State* state = active();
  if (state != nullptr) {
    const auto own = state->variables->find(wanted);
    if (own != state->variables->end()) return own->second ? own->second->data() : nullptr;
  }
  if (environ == nullptr || wanted.empty()) return nullptr;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (strncmp(*entry, name, wanted.size()) == 0 && (*entry)[wanted.size()] == '=')
      return *entry + wanted.size() + 1;
  }
  return nullptr;
}

char* HOOKED(secure_getenv)(const char* name) noexcept {
  return getauxval(AT_SECURE) != 0 ? nullptr : HOOKED(getenv)(name);
}

int HOOKED(setenv)(const char* name, const char* value, int overwrite) noexcept {
  State* state = active();
  if (state == nullptr) return REAL(setenv)(name, value, overwrite);
  if (!good_name(name)) return errno = EINVAL, -1;
  if (overwrite == 0 && HOOKED(getenv)(name) != nullptr) return 0;
  state->variables->insert_or_assign(name, value);
  return 0;
}

int HOOKED(unsetenv)(const char* name) noexcept {
  State* state = active();
  if (state == nullptr) return REAL(unsetenv)(name);
  if (!good_name(name)) return errno = EINVAL, -1;
  state->variables->insert_or_assign(name, std::nullopt);
  return 0;
}

DIR* HOOKED(opendir)(const char* path) {
  if (served::is_served(path)) return open_served(path);
  return in_pool_or_here([&] { return REAL(opendir)(path); });
}

dirent* HOOKED(readdir)(DIR* directory) {
  if (ServedDirectory* served = served_directory(directory)) return next_of(*served);
  return in_pool_or_here([&] { return REAL(readdir)(directory); });
}

dirent64* HOOKED(readdir64)(DIR* directory) {
  if (ServedDirectory* served = served_directory(directory))
    return reinterpret_cast<dirent64*>(next_of(*served));  // One layout on 64 bits.
  return in_pool_or_here([&] { return REAL(readdir64)(directory); });
}

int HOOKED(closedir)(DIR* directory) {
  if (ServedDirectory* served = served_directory(directory)) {
    close_served(served);
    return 0;
  }
  return REAL(closedir)(directory);
}

}  // extern "C"
