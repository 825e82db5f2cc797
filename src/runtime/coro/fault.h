// A stack overflow says whose it was before the process dies of it.
#pragma once

namespace hongyan::runtime {

// The calling thread's faults are looked at on a stack of their own, from now on. A handler that the
// program has installed itself stays.
void report_faults_of_this_thread();

}  // namespace hongyan::runtime
