// Intrusive lists: no allocation, removal in O(1) from wherever something stands. Waiting, queueing
// and dying are all "leave the list you are in". An element derives from Link<Tag> once for each kind
// of list it can be in; it is in one list of a kind at most.
#pragma once

#include "base/check.h"

namespace hongyan::runtime {

// Of coroutines:
struct QueueTag;     // In a WaitList.
struct EveryoneTag;  // Among all coroutines of the scheduler, in order of birth.
struct IdleTag;      // Among those that may be parked, in the order they began to wait.
struct ChildTag;     // Among the children of a Nursery, in order of birth.

template <typename Tag>
class LinkList;

template <typename Tag>
class Link {
 public:
  Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  bool linked() const { return next_ != nullptr; }
  void unlink() {
    if (!linked()) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = nullptr;
  }

 private:
  friend class LinkList<Tag>;
  Link* next_ = nullptr;
  Link* previous_ = nullptr;
};

template <typename Tag>
class LinkList {
 public:
  using Element = Link<Tag>;
  LinkList() { head_.next_ = head_.previous_ = &head_; }
  LinkList(const LinkList&) = delete;
  LinkList& operator=(const LinkList&) = delete;

  bool empty() const { return head_.next_ == &head_; }
  void push_back(Element& link) {
    CHECK(!link.linked());
    link.previous_ = head_.previous_;
    link.next_ = &head_;
    head_.previous_->next_ = &link;
    head_.previous_ = &link;
  }
  // Null when empty.
  Element* front() const { return empty() ? nullptr : head_.next_; }
  Element* pop_front() {
    Element* const first = head_.next_;
    if (first == &head_) return nullptr;
    first->unlink();
    return first;
  }
  // Takes over everything in `other`, behind what is here.
  void append(LinkList& other) {
    while (Element* first = other.pop_front()) push_back(*first);
  }
  // Calls visit(Element&) for each; visit may unlink what it is given.
  template <typename Visit>
  void each(Visit visit) const {
    for (Element* link = head_.next_; link != &head_;) {
      Element* const next = link->next_;
      visit(*link);
      link = next;
    }
  }

 private:
  Element head_;
};

}  // namespace hongyan::runtime
