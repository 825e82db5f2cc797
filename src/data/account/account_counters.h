// What data/account counts.
#pragma once

#include "runtime/counters/counters.h"

namespace hongyan::account {

struct AccountCounters {
  explicit AccountCounters(runtime::Counters& c)
      : created(c.counter("hongyan_account_created", "Accounts created")),
        finished_late(c.counter("hongyan_account_finished_late", "Accounts finished after a crash or a lost commit")),
        passwords_good(c.counter("hongyan_account_passwords_good", "Passwords that were right")),
        passwords_wrong(c.counter("hongyan_account_passwords_wrong", "Passwords that were wrong")),
        guesses_refused(c.counter("hongyan_account_guesses_refused", "Password checks refused by the failure limit")),
        hashes_refused(c.counter("hongyan_account_hashes_refused", "Password hashes refused because too many waited")),
        changes_repeated(c.counter("hongyan_account_changes_repeated", "Password changes asked for again and known")),
        rings_failed(c.counter("hongyan_account_rings_failed", "Rings that did not reach presence")) {}

  runtime::Counter& created;
  runtime::Counter& finished_late;
  runtime::Counter& passwords_good;
  runtime::Counter& passwords_wrong;
  runtime::Counter& guesses_refused;
  runtime::Counter& hashes_refused;
  runtime::Counter& changes_repeated;
  runtime::Counter& rings_failed;
};

}  // namespace hongyan::account
