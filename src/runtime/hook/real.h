// Libc's own function behind a name this room takes, where there is no system call to make instead.
// A dynamic program finds it in libc.so at run time; in a static one the linker (--wrap, see
// src/CMakeLists.txt) sends everybody's calls to __wrap_NAME and leaves libc's as __real_NAME.
#pragma once

#include <dlfcn.h>

#ifdef HONGYAN_HOOK_STATIC
#define HOOKED(name) __wrap_##name
#define DECLARE_REAL(name) extern "C" __typeof__(name) __real_##name
#define REAL(name) (&__real_##name)
#else
#define HOOKED(name) name
#define DECLARE_REAL(name) static_assert(true)
#define REAL(name) (reinterpret_cast<__typeof__(&name)>(::dlsym(RTLD_NEXT, #name)))
#endif
