#include "access/web_gate/site.h"

#include <fmt/format.h>

#include <array>
#include <optional>

#include "base/hash.h"

namespace hongyan::access {

namespace {

constexpr int k_folders_deep_max = 8;

struct Type {
  std::string_view extension;
  std::string_view type;
};
constexpr std::array k_types = {
    Type{"html", "text/html; charset=utf-8"},  Type{"js", "text/javascript; charset=utf-8"},
    Type{"mjs", "text/javascript; charset=utf-8"}, Type{"css", "text/css; charset=utf-8"},
    Type{"json", "application/json"},          Type{"webmanifest", "application/manifest+json"},
    Type{"svg", "image/svg+xml"},              Type{"png", "image/png"},
    Type{"jpg", "image/jpeg"},                 Type{"webp", "image/webp"},
    Type{"ico", "image/x-icon"},               Type{"woff2", "font/woff2"},
    Type{"txt", "text/plain; charset=utf-8"},  Type{"map", "application/json"},
    Type{"wasm", "application/wasm"},
};

std::string_view type_of(std::string_view path) {
  const std::string_view extension = path.substr(path.rfind('.') + 1);
  for (const Type& type : k_types) {
    if (type.extension == extension) return type.type;
  }
  return "application/octet-stream";
}

Status load_folder(runtime::Disk& disk, const std::string& directory, const std::string& prefix, int depth, size_t& total,
                   SiteFiles& files) {
  if (depth > k_folders_deep_max) return Status(Code::too_large, directory + ": folders too deep for a site");
  for (const std::string& name : TRY(disk.list(directory))) {
    if (name.empty() || name[0] == '.') continue;
    const std::string path = directory + "/" + name;
    std::optional<std::string> bytes;
    if (auto file = disk.open(path, runtime::OpenMode::read); file.ok()) {
      const Result<uint64_t> size = (*file)->size();
      if (size.ok() && *size > k_site_bytes_max) return Status(Code::too_large, path + ": a site holds 64 MiB");
      if (auto read = size.ok() ? (*file)->read_at(0, *size) : Result<std::string>(size.status()); read.ok()) bytes = *read;
    }
    if (!bytes) {  // A folder.
      TRY(load_folder(disk, path, prefix + name + "/", depth + 1, total, files));
      continue;
    }
    total += bytes->size();
    if (total > k_site_bytes_max) return Status(Code::too_large, directory + ": a site holds 64 MiB");
    if (files.size() >= k_site_files_max) return Status(Code::too_large, directory + ": a site holds 4,096 files");
    files.emplace(prefix + name, std::move(*bytes));
  }
  return {};
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::optional<std::string> percent_decoded(std::string_view path) {
  std::string out;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      out += path[i];
      continue;
    }
    if (i + 2 >= path.size()) return std::nullopt;
    const int high = hex_digit(path[i + 1]), low = hex_digit(path[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high << 4 | low);
    i += 2;
  }
  return out;
}

}  // namespace

Result<SiteFiles> load_site(runtime::Disk& disk, const std::string& directory) {
  SiteFiles files;
  size_t total = 0;
  TRY(load_folder(disk, directory, "/", 0, total, files));
  return files;
}

Site::Site(SiteFiles files) {
  for (auto& [path, bytes] : files) {
    std::string etag = fmt::format("\"{:016x}\"", stable_hash(bytes));
    files_.emplace(path, File{std::move(bytes), std::move(etag)});
  }
}

const Site::File* Site::find(std::string_view path) const {
  const auto found = files_.find(path);
  return found == files_.end() ? nullptr : &found->second;
}

HttpResponse Site::serve(const HttpRequest& request) const {
  HttpResponse response;
  const std::optional<std::string> decoded = percent_decoded(request.path());
  std::string path = decoded.value_or("");
  if (path == "/") path = "/index.html";
  const File* file = decoded ? find(path) : nullptr;
  if (file == nullptr && decoded && path.find('.', path.rfind('/') + 1) == std::string::npos) {
    path = "/index.html";
    file = find(path);
  }
  if (file == nullptr) {
    response.status = 404;
    response.content_type = "text/plain; charset=utf-8";
    response.body = "not found\n";
    return response;
  }
  response.content_type = type_of(path);
  for (const auto& [token, extension] : {std::pair{"br", ".br"}, std::pair{"gzip", ".gz"}}) {
    const File* packed = find(path + extension);
    if (packed == nullptr) continue;
    if (response.fields.empty()) response.fields.emplace_back("Vary", "Accept-Encoding");
    if (!request.has_token("accept-encoding", token)) continue;
    file = packed;
    response.fields.emplace_back("Content-Encoding", token);
    break;
  }
  response.fields.emplace_back("ETag", file->etag);
  response.fields.emplace_back("Cache-Control", path.starts_with("/assets/") ? "public, max-age=31536000, immutable" : "no-cache");
  if (request.has_token("if-none-match", file->etag)) {
    response.status = 304;
    return response;
  }
  response.shared_body = file->bytes;
  return response;
}

}  // namespace hongyan::access
