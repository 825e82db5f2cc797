# How a program gets libc's names from runtime/hook: link runtime_hook (a program with shared libraries) or
# runtime_hook_static (one linked with -static or -static-pie); for libraries that lock mutexes across waits
# runtime_hook_locks or runtime_hook_locks_static beside it.

# Functions that end in a system call: the program's own definition stands before libc's everywhere.
set(HONGYAN_HOOKED_CALLS
    connect accept accept4 recv recvfrom recvmsg send sendto sendmsg __recv_chk __recvfrom_chk
    poll ppoll __poll_chk __ppoll_chk select pselect epoll_wait epoll_pwait sleep usleep nanosleep clock_nanosleep
    read write readv writev pread pread64 pwrite pwrite64 preadv preadv64 pwritev pwritev64
    __read_chk __pread_chk __pread64_chk lseek lseek64
    open open64 openat openat64 creat creat64 close dup dup2 dup3 fcntl fcntl64 flock
    fsync fdatasync ftruncate ftruncate64 truncate truncate64
    stat stat64 lstat lstat64 fstat fstat64 fstatat fstatat64 access
    rename renameat unlink unlinkat rmdir remove mkdir mmap mmap64)
# Functions of which libc's own is needed, too.
set(HONGYAN_HOOKED_NAMES
    getaddrinfo getnameinfo gethostbyname gethostbyname2 gethostbyaddr gethostbyname_r gethostbyname2_r gethostbyaddr_r
    getenv secure_getenv setenv unsetenv opendir readdir readdir64 closedir)
set(HONGYAN_HOOKED_LOCKS pthread_mutex_lock pthread_cond_wait pthread_cond_timedwait)

# Every object of the library is linked, wanted or not, and its names are seen by shared libraries, also by those that
# only other libraries or plugins need.
function(hongyan_hook_dynamic target)
  cmake_parse_arguments(P "" "" "PARTS;NAMES" ${ARGN})
  foreach(part ${P_PARTS})
    target_link_options(${target} INTERFACE "LINKER:--undefined=hongyan_hook_${part}")
  endforeach()
  foreach(name ${P_NAMES})
    target_link_options(${target} INTERFACE "LINKER:--export-dynamic-symbol=${name}")
  endforeach()
endfunction()

# The same sources with --wrap: everybody's calls of a name, libc's included, go to ours.
function(hongyan_hook_static target of)
  cmake_parse_arguments(P "" "" "PARTS;WRAPPED;LIBS" ${ARGN})
  get_target_property(sources ${of} SOURCES)
  add_library(${target} STATIC EXCLUDE_FROM_ALL ${sources})
  target_compile_definitions(${target} PRIVATE HONGYAN_HOOK_STATIC=1)
  target_link_libraries(${target} PUBLIC hongyan_flags fmt::fmt Threads::Threads runtime base ${P_LIBS})
  foreach(part ${P_PARTS})
    target_link_options(${target} INTERFACE "LINKER:--undefined=hongyan_hook_${part}")
  endforeach()
  foreach(name ${P_WRAPPED})
    target_link_options(${target} INTERFACE "LINKER:--wrap=${name}")
  endforeach()
endfunction()

function(hongyan_hook_libraries)
  hongyan_hook_dynamic(runtime_hook PARTS sockets waits files names
                       NAMES ${HONGYAN_HOOKED_CALLS} ${HONGYAN_HOOKED_NAMES})
  hongyan_hook_dynamic(runtime_hook_locks PARTS locks NAMES ${HONGYAN_HOOKED_LOCKS})
  hongyan_hook_static(runtime_hook_static runtime_hook PARTS sockets waits files names WRAPPED ${HONGYAN_HOOKED_NAMES})
  hongyan_hook_static(runtime_hook_locks_static runtime_hook_locks PARTS locks WRAPPED ${HONGYAN_HOOKED_LOCKS}
                      LIBS runtime_hook_static)
endfunction()
