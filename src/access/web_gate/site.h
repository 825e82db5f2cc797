// The files of the web client, held in memory: read once at start, at most 64 MiB and 4,096 files. A request can only
// name what is in the map, so no path leaves it. Text answers by ETag; files under /assets/ (names with a hash of
// their content) are cached for ever, all others are asked for again. An unknown path without a dot in its last part
// is the client's own route and gets /index.html. A.js.br and A.js.gz beside A.js are served to who accepts them.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "rpc/http/http.h"
#include "base/result.h"
#include "runtime/env/env.h"

namespace hongyan::access {

using rpc::HttpRequest;
using rpc::HttpResponse;

inline constexpr size_t k_site_bytes_max = 64 * 1024 * 1024;
inline constexpr size_t k_site_files_max = 4096;

// Path with a leading '/' -> bytes.
using SiteFiles = std::map<std::string, std::string, std::less<>>;

// Blocks: before the scheduler runs, or in a lane. Hidden files are skipped.
Result<SiteFiles> load_site(runtime::Disk& disk, const std::string& directory);

class Site {
 public:
  explicit Site(SiteFiles files);
  // GET or HEAD. The response refers to the site's bytes.
  HttpResponse serve(const HttpRequest& request) const;

 private:
  struct File {
    std::string bytes;
    std::string etag;
  };
  const File* find(std::string_view path) const;
  std::map<std::string, File, std::less<>> files_;
};

}  // namespace hongyan::access
