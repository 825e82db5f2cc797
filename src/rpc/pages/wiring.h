// What joins pages with rpc's own types: requests as listeners parse them, methods as the generator describes them.
#pragma once

#include "rpc/http/http.h"
#include "rpc/pages/pages.h"
#include "rpc/service.h"

namespace hongyan::rpc {

// GET, HEAD and POST; others are 405. `may_change`: the request shows the operator's secret.
// Waits for a profile, whose time is its own: no deadline of `call` cuts it.
HttpResponse page_response(Call& call, Pages& pages, const HttpRequest& request, bool may_change);

// Name, policy as a reader of the .proto would say it, flags; nothing about what runs.
MethodRow method_row(const MethodInfo& method);

}  // namespace hongyan::rpc
