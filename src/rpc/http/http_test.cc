// Goal: the parser reads what RFC 9112 allows however it is cut, and refuses every shape two parsers could read
// differently. Method: each text whole, split at every byte, and byte by byte.
#include "rpc/http/http.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace hongyan::rpc {
namespace {

const std::string k_get = "GET /a?b=1 HTTP/1.1\r\nHost: x\r\nAccept: text/html,  GZIP \r\n\r\n";
const std::string k_post = "POST /api/v1/send HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
const std::string k_chunked =
    "POST /api/v1/send HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: t\r\n\r\n";

int error_of(const std::string& bytes, HttpLimits limits = {}) {
  HttpParser parser(limits);
  parser.feed(bytes);
  return parser.error();
}
std::string header(const std::string& lines) { return "POST / HTTP/1.1\r\nHost: x\r\n" + lines + "\r\n"; }

TEST(HttpParser, reads_a_request_split_at_every_byte) {
  for (const std::string& text : {k_get, k_post, k_chunked}) {
    for (size_t cut = 0; cut <= text.size(); ++cut) {
      HttpParser parser({});
      parser.feed(std::string_view(text).substr(0, cut));
      EXPECT_EQ(parser.complete(), cut == text.size()) << cut;
      parser.feed(std::string_view(text).substr(cut));
      ASSERT_TRUE(parser.complete()) << text << cut;
      const HttpRequest request = parser.take();
      EXPECT_EQ(request.body, text == k_get ? "" : "hello");
      EXPECT_TRUE(parser.idle());
    }
  }
}

TEST(HttpParser, reads_a_request_byte_by_byte) {
  for (const std::string& text : {k_get, k_post, k_chunked}) {
    HttpParser parser({});
    for (char c : text) parser.feed(std::string_view(&c, 1));
    ASSERT_TRUE(parser.complete());
  }
}

// Beast's decoder aborted on this one.
TEST(HttpParser, reads_an_empty_chunked_body_byte_by_byte) {
  HttpParser parser({});
  for (char c : header("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n") parser.feed(std::string_view(&c, 1));
  ASSERT_TRUE(parser.complete());
  EXPECT_EQ(parser.take().body, "");
}

TEST(HttpParser, gives_pipelined_requests_in_order) {
  HttpParser parser({});
  parser.feed(k_post + k_chunked + k_get + "GET /half");
  ASSERT_TRUE(parser.complete());
  EXPECT_EQ(parser.take().target, "/api/v1/send");
  ASSERT_TRUE(parser.complete());
  EXPECT_EQ(parser.take().body, "hello");
  ASSERT_TRUE(parser.complete());
  const HttpRequest get = parser.take();
  EXPECT_EQ(get.path(), "/a");
  EXPECT_TRUE(get.has_token("accept", "gzip"));
  EXPECT_FALSE(get.has_token("accept", "gz"));
  EXPECT_FALSE(parser.complete());
  EXPECT_FALSE(parser.idle());
}

TEST(HttpParser, leaves_bytes_behind_an_upgrade_alone) {
  HttpParser parser({});
  parser.feed("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x80");
  ASSERT_TRUE(parser.complete());
  parser.take();
  EXPECT_EQ(parser.error(), 0);
  EXPECT_EQ(parser.take_rest(), "\x81\x80");
}

TEST(HttpParser, refuses_smuggling_shapes) {
  for (const char* lines : {
           "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
           "Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n",
           "Content-Length: 5, 5\r\n", "Content-Length: +5\r\n", "Content-Length: -5\r\n", "Content-Length: 0x5\r\n",
           "Content-Length: 5 5\r\n", "Content-Length: \r\n", "Content-Length : 5\r\n",
           " Content-Length: 5\r\n", "Transfer-Encoding : chunked\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
           "A: b\r\n c\r\n", "A: b\r\n\tc\r\n", "A: b\nC: d\r\n", "A: b\rC: d\r\n", "A\r\n", ": b\r\n", "A b: c\r\n", "A: b\x01\r\n",
           "Host: y\r\n"}) {
    EXPECT_EQ(error_of(header(lines)), 400) << lines;
  }
  EXPECT_EQ(error_of(header(std::string("A: b\0c\r\n", 8))), 400);
  for (const char* coding : {"gzip", "gzip, chunked", "chunked, chunked", "identity", "xchunked", "chunked;q=1"}) {
    EXPECT_EQ(error_of(header("Transfer-Encoding: " + std::string(coding) + "\r\n")), 501) << coding;
  }
  EXPECT_EQ(error_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

TEST(HttpParser, refuses_broken_request_lines) {
  for (const char* line : {"GET", "GET /", "GET / HTTP/1.1 x", "GET  / HTTP/1.1", " GET / HTTP/1.1", "GET / http/1.1", "G@T / HTTP/1.1",
                           "GET http://x/ HTTP/1.1", "GET * HTTP/1.1", "GET x HTTP/1.1", "GET /\x01 HTTP/1.1", "\x16\x03\x01", "PRI * HTTP/2.0", "", "GET /\n HTTP/1.1"}) {
    const int error = error_of(std::string(line) + "\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(error == 400 || error == 505) << line << error;
  }
  EXPECT_EQ(error_of("GET / HTTP/1.1\r\n\r\n"), 400);  // No Host.
}

TEST(HttpParser, refuses_broken_chunks) {
  const std::string start = header("Transfer-Encoding: chunked\r\n");
  for (const char* body : {"x\r\n", "-1\r\nx", "3\r\nhello\r\n", "3\nhel\r\n", "3\r\nhel\rx", "0\r\n folded: x\r\n", "0\r\nno colon\r\n", "0\r\nA: b\n\r\n", "3 3\r\nhel\r\n", "\r\n"}) {
    EXPECT_EQ(error_of(start + body), 400) << body;
  }
  EXPECT_EQ(error_of(start + "100001\r\n"), 413);
  EXPECT_EQ(error_of(start + "fffffffffffffffff\r\n"), 413);
  EXPECT_EQ(error_of(start + "0\r\nA: " + std::string(8192, 'x')), 400);
  EXPECT_EQ(error_of(start + "1;" + std::string(8192, 'x')), 400);
}

TEST(HttpParser, limits_header_fields_and_body) {
  EXPECT_EQ(error_of(header("A: " + std::string(16 * 1024, 'a') + "\r\n")), 431);
  EXPECT_EQ(error_of(std::string(16 * 1024, 'a')), 431);
  std::string many;
  for (int i = 0; i < 101; ++i) many += "A: b\r\n";
  EXPECT_EQ(error_of(header(many)), 431);
  EXPECT_EQ(error_of(header("Content-Length: 1048577\r\n")), 413);
  EXPECT_EQ(error_of(header("Content-Length: 1048576\r\n")), 0);
  EXPECT_EQ(error_of(header("Content-Length: 4294967295\r\n")), 413);
  EXPECT_EQ(error_of(header("Content-Length: 99999999999999999999999\r\n")), 413);
}

TEST(HttpParser, many_small_chunks_stop_at_the_body_limit) {
  HttpParser parser({.body_bytes = 1000});
  parser.feed(header("Transfer-Encoding: chunked\r\n"));
  for (int i = 0; i < 1001 && parser.error() == 0; ++i) parser.feed("1\r\nx\r\n");
  EXPECT_EQ(parser.error(), 413);
  EXPECT_EQ(parser.unfinished_bytes(), 0u);
}

TEST(HttpParser, says_when_the_connection_may_stay) {
  const auto keeps = [](const std::string& text) {
    HttpParser parser({});
    parser.feed(text);
    return parser.take().keep_alive;
  };
  EXPECT_TRUE(keeps(k_get));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
}

TEST(HttpParser, wants_a_continue_only_before_the_body) {
  HttpParser parser({});
  parser.feed(header("Expect: 100-continue\r\nContent-Length: 2\r\n"));
  EXPECT_TRUE(parser.wants_continue());
  parser.feed("hi");
  EXPECT_TRUE(parser.complete());
  EXPECT_FALSE(parser.wants_continue());
}

TEST(HttpParser, survives_damaged_requests) {
  Random random(1);
  for (int round = 0; round < 20'000; ++round) {
    std::string text = round % 2 == 0 ? k_post : k_chunked;
    for (uint64_t edits = 1 + random.below(4); edits > 0; --edits) text[random.below(text.size())] = static_cast<char>(random.next());
    HttpParser parser({});
    parser.feed(text);
    if (parser.complete()) {
      EXPECT_LE(parser.take().body.size(), text.size());
    }
  }
}

TEST(HttpHead, carries_the_security_headers) {
  HttpResponse response;
  response.body = "x";
  const std::string head = http_head(response, true);
  for (const char* line : {"HTTP/1.1 200 OK\r\n", "Content-Length: 1\r\n", "X-Content-Type-Options: nosniff\r\n",
                           "Referrer-Policy: no-referrer\r\n", "frame-ancestors 'none'", "default-src 'self';", "Connection: keep-alive\r\n"}) {
    EXPECT_NE(head.find(line), std::string::npos) << line;
  }
  EXPECT_EQ(head.find("Access-Control"), std::string::npos);
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
}

}  // namespace
}  // namespace hongyan::rpc
