// Unmodified client libraries in coroutines of one thread: opens N connections to a real server,
// asks each a question that takes the server 0.1 s, all at once, and compares with one question
// alone.
//   hook-foreign LIBRARY N ADDRESS [off]   prints one line of JSON; exit 1: something failed
//   LIBRARY: mariadb (ADDRESS: its socket), postgres (its directory), redis (its socket), curl
//   (ADDRESS: a URL)
// The calls access("/hook-begin") and access("/hook-end") mark in a trace what was done by
// coroutines. A static program has some of the libraries (HOOK_WITH_*), as there are archives of them.
#ifdef HOOK_WITH_REDIS
#include <hiredis/hiredis.h>
#endif
#ifdef HOOK_WITH_MARIADB
#include <mysql.h>
#endif
#ifdef HOOK_WITH_CURL
#include <curl/curl.h>
#endif
#ifdef HOOK_WITH_POSTGRES
#include <libpq-fe.h>
#endif
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/coro/run.h"
#include "runtime/coro/sync.h"
#include "runtime/hook/hook.h"
#include "runtime/os/os_env.h"

namespace hongyan {
namespace {

using runtime::Nursery;
using namespace std::chrono_literals;

// One connection. Each member waits.
class Session {
 public:
  virtual ~Session() = default;
  virtual bool open() = 0;
  virtual bool ask() = 0;  // 0.1 s of the server's time.
};

#ifdef HOOK_WITH_MARIADB
class MariaSession : public Session {
 public:
  explicit MariaSession(std::string path) : path_(std::move(path)) {}
  ~MariaSession() override { mysql_close(connection_); }
  bool open() override {
    connection_ = mysql_init(nullptr);
    return mysql_real_connect(connection_, nullptr, "root", "", nullptr, 0, path_.c_str(), 0) !=
               nullptr ||
           complain();
  }
  bool ask() override {
    if (mysql_query(connection_, "SELECT SLEEP(0.1)") != 0) return complain();
    MYSQL_RES* result = mysql_store_result(connection_);
    if (result == nullptr) return complain();
    MYSQL_ROW row = mysql_fetch_row(result);
    const bool slept = row != nullptr && std::string(row[0]) == "0";
    mysql_free_result(result);
    return slept;
  }

 private:
  bool complain() {
    std::fprintf(stderr, "mariadb: %s\n", mysql_error(connection_));
    return false;
  }
  std::string path_;
  MYSQL* connection_ = nullptr;
};
#endif

#ifdef HOOK_WITH_REDIS
class RedisSession : public Session {
 public:
  explicit RedisSession(std::string path) : path_(std::move(path)) {}
  ~RedisSession() override {
    if (context_ != nullptr) redisFree(context_);
  }
  bool open() override {
    context_ = redisConnectUnix(path_.c_str());
    return context_ != nullptr && (context_->err == 0 || complain());
  }
  bool ask() override {
    auto* reply =
        static_cast<redisReply*>(redisCommand(context_, "BLPOP nothing-%d 0.1", context_->fd));
    if (reply == nullptr) return complain();
    const bool nothing = reply->type == REDIS_REPLY_NIL ||
                         (reply->type == REDIS_REPLY_ARRAY && reply->elements == 0);
    freeReplyObject(reply);
    return nothing;
  }

 private:
  bool complain() {
    std::fprintf(stderr, "redis: %s\n", context_->errstr);
    return false;
  }
  std::string path_;
  redisContext* context_ = nullptr;
};
#endif

#ifdef HOOK_WITH_POSTGRES
class PostgresSession : public Session {
 public:
  explicit PostgresSession(const std::string& directory)
      : settings_("host=" + directory + " user=hook dbname=postgres gssencmode=disable") {}
  ~PostgresSession() override { PQfinish(connection_); }
  bool open() override {
    connection_ = PQconnectdb(settings_.c_str());
    return PQstatus(connection_) == CONNECTION_OK || complain();
  }
  bool ask() override {
    PGresult* result = PQexec(connection_, "SELECT pg_sleep(0.1)");
    const bool good = PQresultStatus(result) == PGRES_TUPLES_OK;
    PQclear(result);
    return good || complain();
  }

 private:
  bool complain() {
    std::fprintf(stderr, "postgres: %s", PQerrorMessage(connection_));
    return false;
  }
  std::string settings_;
  PGconn* connection_ = nullptr;
};
#endif

#ifdef HOOK_WITH_CURL
class CurlSession : public Session {
 public:
  explicit CurlSession(std::string url) : url_(std::move(url)) {}
  ~CurlSession() override { curl_easy_cleanup(handle_); }
  bool open() override {
    handle_ = curl_easy_init();
    return handle_ != nullptr;
  }
  bool ask() override {
    std::string body;
    curl_easy_setopt(handle_, CURLOPT_URL, url_.c_str());
    curl_easy_setopt(handle_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle_, CURLOPT_WRITEDATA, &body);
    curl_easy_setopt(handle_, CURLOPT_WRITEFUNCTION, &CurlSession::take);
    const CURLcode code = curl_easy_perform(handle_);
    if (code != CURLE_OK) std::fprintf(stderr, "curl: %s\n", curl_easy_strerror(code));
    return code == CURLE_OK && body == "slept\n";
  }

 private:
  static size_t take(char* bytes, size_t size, size_t count, void* into) {
    static_cast<std::string*>(into)->append(bytes, size * count);
    return size * count;
  }
  std::string url_;
  CURL* handle_ = nullptr;
};
#endif

std::unique_ptr<Session> make_session(const std::string& library, const std::string& address) {
#ifdef HOOK_WITH_MARIADB
  if (library == "mariadb") return std::make_unique<MariaSession>(address);
#endif
#ifdef HOOK_WITH_REDIS
  if (library == "redis") return std::make_unique<RedisSession>(address);
#endif
#ifdef HOOK_WITH_POSTGRES
  if (library == "postgres") return std::make_unique<PostgresSession>(address);
#endif
#ifdef HOOK_WITH_CURL
  if (library == "curl") return std::make_unique<CurlSession>(address);
#endif
  std::fprintf(stderr, "no library '%s' here\n", library.c_str());
  std::exit(2);
}

double milliseconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

// How long the loop was away from a coroutine that wants a turn each millisecond.
class Ticker {
 public:
  explicit Ticker(Env& env) : env_(env), nursery_(env.scheduler()) {
    nursery_.spawn("ticker", [this] {
      Call call = background_call(env_, 60s);
      auto last = std::chrono::steady_clock::now();
      while (runtime::sleep(call, 1ms).ok()) {
        const auto now = std::chrono::steady_clock::now();
        longest_ms_ =
            std::max(longest_ms_, std::chrono::duration<double, std::milli>(now - last).count());
        last = now;
      }
    });
  }
  double stop() {
    nursery_.cancel_and_join();
    return longest_ms_;
  }

 private:
  Env& env_;
  double longest_ms_ = 0;
  Nursery nursery_;
};

struct Outcome {
  double one_ms = 1e9;
  double all_ms = 0;
  double longest_turn_ms = 0;
  size_t failures = 0;
};

Outcome measure(Env& env, const std::string& library, size_t count, const std::string& address,
                bool hooked) {
  Outcome outcome;
  std::vector<std::unique_ptr<Session>> sessions;
  for (size_t i = 0; i < count; ++i) sessions.push_back(make_session(library, address));

  const auto first = [&](size_t how_many, auto work) {
    Nursery nursery(env.scheduler());
    for (size_t i = 0; i < how_many; ++i) {
      const auto body = [&, i] {
        std::optional<runtime::hook::Scope> scope;
        if (hooked) scope.emplace(env, background_call(env, 30s));
        if (!work(sessions[i])) ++outcome.failures;
      };
      nursery.spawn("foreign", body, runtime::StackSize::k256);
    }
    Call call = background_call(env, 60s);
    (void)nursery.join(call);
  };
  const auto ask = [](auto& session) { return session->ask(); };

  first(count, [](auto& session) { return session->open(); });
  for (int i = 0; i < 3; ++i) {  // The best of three: the server's first answer is slow.
    outcome.one_ms = std::min(outcome.one_ms, milliseconds_of([&] { first(1, ask); }));
  }
  Ticker ticker(env);
  outcome.all_ms = milliseconds_of([&] { first(count, ask); });
  outcome.longest_turn_ms = ticker.stop();
  first(count, [](auto& session) {
    session.reset();
    return true;
  });
  return outcome;
}

int run(const std::string& library, size_t count, const std::string& address, bool hooked) {
#ifdef HOOK_WITH_MARIADB
  mysql_library_init(0, nullptr, nullptr);
#endif
#ifdef HOOK_WITH_CURL
  curl_global_init(CURL_GLOBAL_ALL);
#endif
  const std::unique_ptr<Env> env = runtime::make_os_env({});
  Outcome outcome;
  runtime::run_to_end(env->scheduler(), "measure", [&] {
    access("/hook-begin", F_OK);
    outcome = measure(*env, library, count, address, hooked);
    access("/hook-end", F_OK);
  });
  std::printf(
      "{\"library\": \"%s\", \"sessions\": %zu, \"one_ms\": %.1f, \"all_ms\": %.1f, \"ratio\": "
      "%.2f, "
      "\"longest_turn_ms\": %.1f, \"failures\": %zu}\n",
      library.c_str(), count, outcome.one_ms, outcome.all_ms, outcome.all_ms / outcome.one_ms,
      outcome.longest_turn_ms, outcome.failures);
  return outcome.failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace hongyan

int main(int count, char** words) {
  const bool off = count == 5 && std::string(words[4]) == "off";
  if (count != 4 && !off) {
    std::fprintf(stderr, "usage: hook-foreign LIBRARY N ADDRESS [off]\n");
    return 2;
  }
  return hongyan::run(words[1], static_cast<size_t>(std::atoi(words[2])), words[3], !off);
}
