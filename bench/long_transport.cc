// The long link: mars frames of five big-endian u32 (head length, client version, cmdid, seq, body length) and a body
// of two bytes of envelope and a protobuf.
#include <fmt/format.h>

#include <utility>

#include "base/bytes.h"
#include "bench/link.h"

namespace hongyan::bench {

namespace {

constexpr size_t k_head_bytes = 20;
constexpr size_t k_body_bytes_max = 1024 * 1024;
constexpr size_t k_read_bytes = 16 * 1024;
constexpr uint32_t k_client_version = 200;
constexpr uint32_t k_seq_identify = 0xFFFFFFFE;
constexpr uint32_t k_cmdid_identify = 237;
constexpr uint32_t k_cmdid_push = 10001;
constexpr std::string_view k_envelope("\x01\x00", 2);

struct Command {
  std::string_view path;
  uint32_t id;
};
constexpr Command k_commands[] = {{"register", 101}, {"login", 102}, {"friend/add", 201}, {"friend/accept", 202}, {"send", 301}, {"sync", 401}};

class LongLink : public Link {
 public:
  explicit LongLink(std::unique_ptr<runtime::Stream> stream) : stream_(std::move(stream)) {}

  Status call(Call& call, std::string_view path, const google::protobuf::Message& request,
              google::protobuf::Message& response) override {
    for (const Command& command : k_commands) {
      if (command.path == path) return exchange(call, command.id, ++seq_, request, response);
    }
    return Status(Code::unsupported, "no number is known for " + std::string(path));
  }

  Status exchange(Call& call, uint32_t cmdid, uint32_t seq, const google::protobuf::Message& request,
                  google::protobuf::Message& response) {
    out_.clear();
    const uint32_t body_bytes = static_cast<uint32_t>(k_envelope.size() + request.ByteSizeLong());
    for (uint32_t word : {static_cast<uint32_t>(k_head_bytes), k_client_version, cmdid, seq, body_bytes}) put_u32(out_, word);
    out_ += k_envelope;
    if (!request.AppendToString(&out_)) return Status(Code::invalid, "a request can't be written");
    ++traffic_.frames_out;
    traffic_.bytes_out += out_.size();
    TRY(stream_->write(call, out_));
    for (;;) {
      const Frame got = TRY(next_frame(call));
      if (got.seq != seq) continue;
      if (!got.body.starts_with(k_envelope) || !response.ParseFromArray(got.body.data() + 2, static_cast<int>(got.body.size() - 2))) {
        return Status(Code::internal, "an answer is not its message");
      }
      return status_of(response);
    }
  }

  Status next_ring(Call& call) override {
    while (rings_ == 0) (void)TRY(next_frame(call));
    rings_ = 0;  // One sync serves them all.
    return {};
  }

  const Traffic& traffic() const override { return traffic_; }

 private:
  struct Frame {
    uint32_t cmdid = 0, seq = 0;
    std::string_view body;  // Until the next one is read.
  };

  // There are `bytes` behind what was taken.
  Status fill(Call& call, size_t bytes) {
    if (in_.size() - taken_ >= bytes) return {};
    in_.erase(0, std::exchange(taken_, 0));
    char buffer[k_read_bytes];
    while (in_.size() < bytes) {
      const size_t count = TRY(stream_->read(call, buffer));
      if (count == 0) return Status(Code::closed, "the server closed the link");
      traffic_.bytes_in += count;
      in_.append(buffer, count);
    }
    return {};
  }

  Result<Frame> next_frame(Call& call) {
    TRY(fill(call, k_head_bytes));
    Reader reader(std::string_view(in_).substr(taken_));
    uint32_t words[5];
    for (uint32_t& word : words) word = *reader.u32();
    if (words[0] < k_head_bytes || words[0] > k_body_bytes_max || words[4] > k_body_bytes_max) {
      return Status(Code::internal, "a broken frame");
    }
    const size_t whole = size_t{words[0]} + words[4];
    TRY(fill(call, whole));
    const Frame frame{.cmdid = words[2], .seq = words[3], .body = std::string_view(in_).substr(taken_ + words[0], words[4])};
    taken_ += whole;
    ++traffic_.frames_in;
    if (frame.cmdid == k_cmdid_push) ++rings_;
    return frame;
  }

  std::unique_ptr<runtime::Stream> stream_;
  std::string in_, out_;
  size_t taken_ = 0;  // Of in_.
  uint32_t seq_ = 0;
  int rings_ = 0;
  Traffic traffic_;
};

class LongTransport : public Transport {
 public:
  LongTransport(Env& env, const ServerProcess& server) : env_(env), server_(server) {}
  std::string name() const override { return "long link, protobuf"; }
  Result<std::unique_ptr<Link>> connect(Call& call) override {
    return std::unique_ptr<Link>(std::make_unique<LongLink>(TRY(env_.network().connect(call, server_.address("long_link")))));
  }
  Status identify(Call& call, Link& link, const client::BaseRequest& base) override {
    client::IdentifyRequest request;
    *request.mutable_base() = base;
    client::IdentifyResponse response;
    return static_cast<LongLink&>(link).exchange(call, k_cmdid_identify, k_seq_identify, request, response);
  }

 private:
  Env& env_;
  const ServerProcess& server_;
};

}  // namespace

Status status_of(const google::protobuf::Message& response) {
  const auto* field = response.GetDescriptor()->FindFieldByNumber(1);
  const auto& base = static_cast<const client::BaseResponse&>(response.GetReflection()->GetMessage(response, field));
  if (base.code() == 0) return {};
  return Status(static_cast<Code>(base.code()), fmt::format("code {}: {}", base.code(), base.debug()));
}

std::unique_ptr<Transport> make_long_transport(Env& env, const ServerProcess& server) {
  return std::make_unique<LongTransport>(env, server);
}

}  // namespace hongyan::bench
