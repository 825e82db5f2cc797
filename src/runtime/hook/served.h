// The descriptors that stand for files of a Mount, as the hooked functions see them. Every function
// may wait: on the mount's own loop as a coroutine, on any other thread by blocking it. They return
// -1 and errno like libc. For runtime/hook only.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hongyan::runtime::hook::served {

// Cheap when nothing is mounted: they stand before every call.
bool is_served(int descriptor);
bool is_served(const char* path);

int open(const char* path, int flags, mode_t mode);
int close(int descriptor);
int duplicate(int descriptor, int at_least, int flags);
int duplicate_to(int descriptor, int other, int flags);
ssize_t read(int descriptor, const iovec* parts, int count);
ssize_t write(int descriptor, const iovec* parts, int count);
ssize_t read_at(int descriptor, const iovec* parts, int count, off_t offset);
ssize_t write_at(int descriptor, const iovec* parts, int count, off_t offset);
off_t seek(int descriptor, off_t offset, int whence);
int sync(int descriptor);
int truncate(int descriptor, off_t bytes);
int truncate(const char* path, off_t bytes);
int status(int descriptor, struct stat* into);
int status(const char* path, struct stat* into);
int control(int descriptor, int command, long argument);
int lock(int descriptor, int type);  // F_RDLCK, F_WRLCK, F_UNLCK; never waits for a lock.
int rename(const char* from, const char* to);
int remove_file(const char* path);
int make_directory(const char* path);
int remove_directory(const char* path);
int list(const char* path, std::vector<std::string>& names);
void* map(void* address, size_t bytes, int protection, int flags, int descriptor, off_t offset);

}  // namespace hongyan::runtime::hook::served
