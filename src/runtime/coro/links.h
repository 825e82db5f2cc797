// An intrusive list of coroutines: no allocation, removal in O(1) from wherever a coroutine stands.
// Waiting, queueing and dying are all "leave the list you are in".
#pragma once

#include "base/check.h"

namespace hongyan::runtime {

class Coroutine;

struct Link {
  Coroutine* owner = nullptr;
  Link* next = nullptr;
  Link* previous = nullptr;

  bool linked() const { return next != nullptr; }
  void unlink() {
    if (!linked()) return;
    previous->next = next;
    next->previous = previous;
    next = previous = nullptr;
  }
};

class LinkList {
 public:
  LinkList() { head_.next = head_.previous = &head_; }
  LinkList(const LinkList&) = delete;
  LinkList& operator=(const LinkList&) = delete;

  bool empty() const { return head_.next == &head_; }
  void push_back(Link& link) {
    CHECK(!link.linked());
    link.previous = head_.previous;
    link.next = &head_;
    head_.previous->next = &link;
    head_.previous = &link;
  }
  // Null when empty.
  Coroutine* pop_front() {
    if (empty()) return nullptr;
    Link* first = head_.next;
    first->unlink();
    return first->owner;
  }
  // Calls visit(Coroutine*) for each; visit may unlink what it is given.
  template <typename Visit>
  void each(Visit visit) const {
    for (Link* link = head_.next; link != &head_;) {
      Link* const next = link->next;
      visit(link->owner);
      link = next;
    }
  }

 private:
  Link head_;
};

}  // namespace hongyan::runtime
