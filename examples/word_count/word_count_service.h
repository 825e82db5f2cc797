// Counts the words of a text. Keeps nothing and never waits; a text over 64 KiB is Code::too_large, one without words
// Code::invalid.
#pragma once

#include "word_count.rpc.pb.h"

namespace example {

class WordCounter : public WordCountService {
 public:
  hongyan::Result<CountReply> count(hongyan::Call& call, const CountRequest& request) override;
};

}  // namespace example
