// --demo: two sample accounts with passwords made up now, friends already. Printed once; a second start with --demo on
// the same data finds them and says so.
#pragma once

#include <functional>
#include <string>

#include "bundle/bundle.h"

namespace hongyan::bundle {

// In a coroutine, after the bundle's start.
Status make_demo(Env& env, Bundle& bundle, const std::function<void(const std::string&)>& say);

}  // namespace hongyan::bundle
