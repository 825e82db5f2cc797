#include "word_count_service.h"

#include <string_view>

namespace example {

using hongyan::Call;
using hongyan::Code;
using hongyan::Result;
using hongyan::Status;

namespace {

// The loop is not kept longer than some ten microseconds.
constexpr size_t k_text_bytes_max = 64 * 1024;
constexpr std::string_view k_white = " \t\r\n";

}  // namespace

Result<CountReply> WordCounter::count(Call& call, const CountRequest& request) {
  if (request.text().size() > k_text_bytes_max) return Status(Code::too_large, "a text has 64 KiB at the most");
  CountReply reply;
  std::string_view rest = request.text(), longest;
  for (size_t begin; (begin = rest.find_first_not_of(k_white)) != rest.npos;) {
    rest.remove_prefix(begin);
    const std::string_view word = rest.substr(0, rest.find_first_of(k_white));
    rest.remove_prefix(word.size());
    reply.set_words(reply.words() + 1);
    if (word.size() > longest.size()) longest = word;
  }
  if (longest.empty()) return Status(Code::invalid, "there is no word in the text");
  reply.set_longest(std::string(longest));
  return reply;
}

}  // namespace example
