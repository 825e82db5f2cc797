// Goal: the site serves its files and nothing else.
#include "access/web_gate/site.h"

#include <gtest/gtest.h>

#include "runtime/testing/test_env.h"

namespace hongyan::access {
namespace {

HttpRequest get(const std::string& target, std::vector<std::pair<std::string, std::string>> fields = {}) {
  HttpRequest request;
  request.method = "GET";
  request.target = target;
  request.fields = std::move(fields);
  return request;
}
std::string field(const HttpResponse& response, std::string_view name) {
  for (const auto& [key, value] : response.fields) {
    if (key == name) return value;
  }
  return "";
}

class SiteTest : public ::testing::Test {
 protected:
  Site site_{{{"/index.html", "<home>"}, {"/assets/app-1a2b.js", "code"}, {"/assets/app-1a2b.js.gz", "packed"}, {"/sw.js", "worker"},
              {"/a b.txt", "space"}}};
};

TEST_F(SiteTest, root_and_the_clients_own_routes_are_the_index) {
  for (const char* target : {"/", "/index.html", "/chat/10002", "/?x=1", "/settings"}) {
    const HttpResponse response = site_.serve(get(target));
    EXPECT_EQ(response.status, 200) << target;
    EXPECT_EQ(response.shared_body, "<home>") << target;
    EXPECT_EQ(response.content_type, "text/html; charset=utf-8");
    EXPECT_EQ(field(response, "Cache-Control"), "no-cache");
  }
}

TEST_F(SiteTest, missing_files_and_paths_out_of_the_site_are_not_found) {
  for (const char* target : {"/missing.js", "/../etc/passwd.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "//etc/x.conf", "/assets/../../x.y",
                             "/%zz", "/%2", "/%00.txt"}) {
    EXPECT_EQ(site_.serve(get(target)).status, 404) << target;
  }
}

TEST_F(SiteTest, hashed_assets_are_cached_for_ever) {
  EXPECT_EQ(field(site_.serve(get("/assets/app-1a2b.js")), "Cache-Control"), "public, max-age=31536000, immutable");
  EXPECT_EQ(field(site_.serve(get("/sw.js")), "Cache-Control"), "no-cache");
}

TEST_F(SiteTest, etag_saves_the_body) {
  const std::string etag = field(site_.serve(get("/sw.js")), "ETag");
  const HttpResponse again = site_.serve(get("/sw.js", {{"if-none-match", "\"other\", " + etag}}));
  EXPECT_EQ(again.status, 304);
  EXPECT_TRUE(again.shared_body.empty());
}

TEST_F(SiteTest, packed_files_go_to_who_accepts_them) {
  const HttpResponse packed = site_.serve(get("/assets/app-1a2b.js", {{"accept-encoding", "br, gzip"}}));
  EXPECT_EQ(packed.shared_body, "packed");
  EXPECT_EQ(field(packed, "Content-Encoding"), "gzip");
  EXPECT_EQ(packed.content_type, "text/javascript; charset=utf-8");
  const HttpResponse plain = site_.serve(get("/assets/app-1a2b.js"));
  EXPECT_EQ(plain.shared_body, "code");
  EXPECT_EQ(field(plain, "Vary"), "Accept-Encoding");
}

TEST_F(SiteTest, escaped_names_are_decoded) { EXPECT_EQ(site_.serve(get("/a%20b.txt")).shared_body, "space"); }

TEST(LoadSite, reads_folders_and_skips_hidden_files) {
  runtime::TestEnv env;
  ASSERT_TRUE(env.disk().make_directories("site/assets").ok());
  for (const char* path : {"site/index.html", "site/assets/a.js", "site/.secret"}) {
    auto file = env.disk().open(path, runtime::OpenMode::create);
    ASSERT_TRUE(file.ok() && (*file)->append(path).ok());
  }
  const auto files = load_site(env.disk(), "site");
  ASSERT_TRUE(files.ok()) << files.status().detail();
  EXPECT_EQ(*files, (SiteFiles{{"/index.html", "site/index.html"}, {"/assets/a.js", "site/assets/a.js"}}));
  EXPECT_FALSE(load_site(env.disk(), "no such folder").ok());
}

}  // namespace
}  // namespace hongyan::access
