// Which sanitizer this build has, in the words of either compiler.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define HONGYAN_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HONGYAN_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define HONGYAN_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HONGYAN_TSAN 1
#endif
#endif
