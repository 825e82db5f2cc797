// A master process: holds the listening sockets of a service and keeps N workers of it running, each the same
// executable started anew. It runs no service and no coroutine, has one thread and one loop over poll().
//
// A worker finds in HONGYAN_WORKER (inherited.h) the sockets, and listens on them where it would have opened its own.
// It says so with a line on standard output that begins with `ready `; the master takes that for "serves". SIGTERM
// makes it drain: it accepts no more, says goodbye to its peers, finishes what it took and ends. The sockets stay open
// all the time, so a connection is never refused while the master lives: with no worker it waits in the kernel's queue.
// Either all workers share one socket for each address, or each has its own port, the base's plus its number, and so is
// a routing target of its own. When and why workers are replaced: worker_plan.h.
//
// Signals: SIGTERM and SIGINT drain all and end; SIGHUP replaces all, one after the other, with the executable that is
// there now. A worker does not outlive its master: the kernel kills it.
//
// On standard output, a line each: `ready {...}` when all serve, `worker {...}` for what becomes of each, with the counts
// so far, and `stopped`. Other lines of workers go to standard error.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/os/worker_plan.h"

namespace hongyan::runtime {

enum class WorkerSockets { shared, own };

struct WorkerMasterOptions {
  std::vector<std::string> command;    // The executable's path and its words.
  std::string name;                    // Of the service, for `ready`.
  std::vector<std::string> addresses;  // As the service asks for them.
  WorkerSockets sockets = WorkerSockets::shared;
  WorkerRules rules;
  // Where the first of the addresses is written for others when all serve, of each worker if they have their own.
  // Empty: nowhere.
  std::string announce = {};
  Duration memory_every = std::chrono::seconds(1);  // How often their memory is looked at.
};

// Until it is told to stop. 0: all drained; 1: it could not start, or its first worker ended before it served.
// Before any other thread is started.
int run_worker_master(const WorkerMasterOptions& options);

// An address a line, such as lists of instances are (rpc/routing/resolver.h). The file is replaced as a whole.
Status write_addresses(const std::string& path, const std::vector<std::string>& addresses);

// This executable's path and words.
std::vector<std::string> own_command(int argc, char** argv);

}  // namespace hongyan::runtime
