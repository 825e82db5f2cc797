// hongyan-sim: runs seeds, each in a process of its own, so that a run that aborts or hangs is a verdict as any other
// and what simulated processes leak ends with it. The only part of the simulator that knows the real machine.
#pragma once

namespace hongyan::sim {

int batch_main(int argc, char** argv);

}  // namespace hongyan::sim
