// Random commits against a model: the store's contract again, in a few maps and without any cleverness. After every
// call the reply is compared, now and then everything that can be read. The seed is printed with a failure.
#pragma once

#include <map>
#include <optional>
#include <utility>

#include "base/random.h"
#include "store/engine/testing/conformance.h"

namespace hongyan::store::conformance {

struct ModelEntity {
  Header header;
  std::map<std::string, Row> rows;
  std::map<std::string, std::pair<uint64_t, bool>> changed;  // By row key: at which version, and whether erased.
  std::map<RequestId, CommitReply> requests;
};

class Model {
 public:
  // What the store must answer; nothing: Code::invalid. Incarnations are taken from the store's own replies.
  std::optional<CommitReply> commit(const Commit& commit);
  const ModelEntity& at(const EntityId& id) { return entities_[id]; }
  std::map<EntityId, ModelEntity>& entities() { return entities_; }
  const std::map<std::pair<WorkTag, EntityId>, uint64_t>& marks() const { return marks_; }

 private:
  static std::optional<int64_t> number_in(const ModelEntity& entity, const std::string& key);
  static std::optional<bool> holds(const ModelEntity& entity, const Precondition& precondition, CommitReply& reply);
  static bool mutate(ModelEntity& entity, const Mutation& mutation, CommitReply& reply);

  std::map<EntityId, ModelEntity> entities_;
  std::map<std::pair<WorkTag, EntityId>, uint64_t> marks_;
};

inline std::optional<int64_t> Model::number_in(const ModelEntity& entity, const std::string& key) {
  const auto row = entity.rows.find(key);
  if (row == entity.rows.end()) return 0;
  if (row->second.value.size() != 8) return std::nullopt;
  return static_cast<int64_t>(*Reader(row->second.value).u64());
}

inline std::optional<bool> Model::holds(const ModelEntity& entity, const Precondition& precondition, CommitReply& reply) {
  if (precondition.kind == Precondition::Kind::entity_version) {
    return entity.header.version == static_cast<uint64_t>(precondition.value);
  }
  if (precondition.kind == Precondition::Kind::number_below) {
    const auto number = number_in(entity, precondition.key);
    if (!number) return std::nullopt;
    return *number < precondition.value;
  }
  const auto row = entity.rows.find(precondition.key);
  const bool there = row != entity.rows.end();
  const bool good = precondition.kind == Precondition::Kind::row_absent
                        ? !there
                        : (there ? row->second.version : 0) == static_cast<uint64_t>(precondition.value);
  if (!good && there) reply.present = row->second;
  return good;
}

inline bool Model::mutate(ModelEntity& entity, const Mutation& mutation, CommitReply& reply) {
  const uint64_t version = entity.header.version;
  const auto put_row = [&](const std::string& key, const std::string& value) {
    entity.rows[key] = {.key = key, .value = value, .version = version};
    entity.changed[key] = {version, false};
  };
  switch (mutation.kind) {
    case Mutation::Kind::put:
      put_row(mutation.key + (mutation.stamp == Mutation::Stamp::key ? number(version) : ""),
              mutation.value + (mutation.stamp == Mutation::Stamp::value ? number(version) : ""));
      return true;
    case Mutation::Kind::erase:
      if (entity.rows.erase(mutation.key) > 0) entity.changed[mutation.key] = {version, true};
      return true;
    case Mutation::Kind::add: {
      const auto before = number_in(entity, mutation.key);
      if (!before) return false;
      reply.numbers.push_back(*before + mutation.number);
      put_row(mutation.key, number(static_cast<uint64_t>(reply.numbers.back())));
      return true;
    }
    case Mutation::Kind::max: {
      const auto before = number_in(entity, mutation.key);
      if (!before) return false;
      reply.numbers.push_back(std::max(*before, mutation.number));
      if (mutation.number > *before) put_row(mutation.key, number(static_cast<uint64_t>(mutation.number)));
      return true;
    }
  }
  return false;
}

inline std::optional<CommitReply> Model::commit(const Commit& commit) {
  ModelEntity entity = entities_[commit.entity];
  CommitReply reply;
  if (!commit.request_id.empty() && entity.requests.contains(commit.request_id)) {
    reply = entity.requests[commit.request_id];
    reply.replayed = true;
    return reply;
  }
  for (size_t i = 0; i < commit.preconditions.size(); ++i) {
    const auto good = holds(entity, commit.preconditions[i], reply);
    if (!good) return std::nullopt;
    if (*good) continue;
    reply.failed_precondition = i;
    reply.header = entity.header;
    return reply;
  }
  ++entity.header.position;
  if (commit.visibility == Visibility::visible) ++entity.header.version;
  for (const Mutation& mutation : commit.mutations) {
    if (!mutate(entity, mutation, reply)) return std::nullopt;
  }
  if (commit.raise_floor) {
    entity.header.floor = std::max(entity.header.floor, std::min(*commit.raise_floor, entity.header.version));
  }
  if (commit.work_done) {
    const auto mark = marks_.find({commit.work_done->tag, commit.entity});
    if (mark != marks_.end() && mark->second <= commit.work_done->done_up_to) marks_.erase(mark);
  }
  if (commit.mark_work) marks_[{*commit.mark_work, commit.entity}] = entity.header.version;
  reply.committed = true;
  reply.header = entity.header;
  if (!commit.request_id.empty()) entity.requests[commit.request_id] = reply;
  entities_[commit.entity] = std::move(entity);
  return reply;
}

// A commit that often fails in interesting ways: few keys, few entities, near versions.
inline Commit random_commit(Random& random, Model& model, const std::vector<RequestId>& ids) {
  Commit commit{.entity = entity(std::string(1, static_cast<char>('a' + random.below(4))), random.one_in(2) ? k_tracked : k_plain)};
  const Header header = model.at(commit.entity).header;
  const auto key = [&] { return std::string(1 + random.below(2), static_cast<char>('k' + random.below(5))); };
  if (random.one_in(6)) commit.visibility = Visibility::silent;
  const bool silent = commit.visibility == Visibility::silent;
  for (uint64_t i = random.below(6); i > 0; --i) {
    switch (random.below(7)) {
      case 0: commit.mutations.push_back(erase(key())); break;
      case 1: commit.mutations.push_back(add("n" + key(), static_cast<int64_t>(random.below(20)) - 10)); break;
      case 2: commit.mutations.push_back(maximum("n" + key(), static_cast<int64_t>(random.below(20)) - 10)); break;
      case 3: commit.mutations.push_back(add(key(), 1)); break;  // Mostly no number.
      default: {
        const auto stamp = silent ? Mutation::Stamp::none : static_cast<Mutation::Stamp>(random.below(3));
        commit.mutations.push_back(put(key(), std::string(random.below(30), 'v'), stamp));
      }
    }
  }
  if (random.one_in(3)) {
    switch (random.below(4)) {
      case 0: commit.preconditions.push_back(at_version(static_cast<int64_t>(header.version))); break;
      case 1: commit.preconditions.push_back(absent(key())); break;
      case 2: commit.preconditions.push_back(row_at(key(), static_cast<int64_t>(random.below(header.version + 1)))); break;
      default: commit.preconditions.push_back(below("n" + key(), static_cast<int64_t>(random.below(10)))); break;
    }
  }
  if (random.one_in(4)) commit.request_id = ids[random.below(ids.size())];
  if (random.one_in(5)) commit.mark_work = static_cast<WorkTag>(1 + random.below(2));
  if (random.one_in(5)) {
    commit.work_done = WorkDone{.tag = static_cast<WorkTag>(1 + random.below(2)), .done_up_to = random.below(header.version + 2)};
  }
  if (silent && random.one_in(2)) commit.raise_floor = random.below(header.version + 2);
  return commit;
}

inline bool same(const Header& a, const Header& b) {
  return a.version == b.version && a.floor == b.floor && a.position == b.position;
}

class ModelConformance : public Conformance {
 protected:
  // Takes the incarnation of an entity's first commit, then insists on it.
  void compare(const EntityId& id, const std::optional<CommitReply>& wanted, const Result<CommitReply>& got) {
    if (!wanted) {
      EXPECT_EQ(got.code(), Code::invalid);
      return;
    }
    ASSERT_TRUE(got.ok()) << got.status().detail();
    EXPECT_EQ(wanted->committed, got->committed);
    EXPECT_EQ(wanted->replayed, got->replayed);
    EXPECT_EQ(wanted->numbers, got->numbers);
    EXPECT_TRUE(same(wanted->header, got->header));
    EXPECT_EQ(wanted->failed_precondition, got->failed_precondition);
    ASSERT_EQ(wanted->present.has_value(), got->present.has_value());
    if (wanted->present) {
      EXPECT_EQ(wanted->present->key, got->present->key);
      EXPECT_EQ(wanted->present->value, got->present->value);
      EXPECT_EQ(wanted->present->version, got->present->version);
    }
    Header& known = model_.entities()[id].header;
    if (known.incarnation == 0) known.incarnation = got->header.incarnation;
    EXPECT_EQ(known.incarnation, got->header.incarnation);
  }

  void compare_all() {
    std::set<std::string> wanted_marks, marks;
    for (const auto& [mark, version] : model_.marks()) {
      wanted_marks.insert(std::to_string(mark.first) + mark.second.id + std::to_string(mark.second.table) + "@" + std::to_string(version));
    }
    for (const WorkTag tag : {WorkTag{1}, WorkTag{2}}) {
      const auto scanned = store().scan_work(call_, tag, nullptr, 1000);
      ASSERT_TRUE(scanned.ok());
      for (const Work& work : *scanned) {
        marks.insert(std::to_string(tag) + work.entity.id + std::to_string(work.entity.table) + "@" + std::to_string(work.marked_at));
      }
    }
    EXPECT_EQ(wanted_marks, marks);
    for (const auto& [id, wanted] : model_.entities()) {
      const ReadReply got = read({.entity = id});
      EXPECT_TRUE(same(wanted.header, got.header));
      EXPECT_EQ(wanted.header.incarnation, got.header.incarnation);
      ASSERT_EQ(wanted.rows.size(), got.rows.size());
      auto row = wanted.rows.begin();
      for (const Row& one : got.rows) {
        EXPECT_EQ(row->second.key, one.key);
        EXPECT_EQ(row->second.value, one.value);
        EXPECT_EQ(row->second.version, one.version);
        ++row;
      }
      if (id.table == k_tracked && wanted.header.incarnation != 0) compare_changes(id, wanted);
    }
  }

  void compare_changes(const EntityId& id, const ModelEntity& entity) {
    for (uint64_t since : {uint64_t{0}, entity.header.floor, entity.header.version / 2, entity.header.version}) {
      if (since != 0 && since < entity.header.floor) {
        EXPECT_EQ(store().changes(call_, id, since, 1000).code(), Code::not_found);
        continue;
      }
      std::vector<std::tuple<uint64_t, std::string, bool>> wanted;
      for (const auto& [key, change] : entity.changed) {
        const bool asked = since == 0 ? !change.second : change.first > since;
        if (asked) wanted.emplace_back(change.first, key, change.second);
      }
      std::sort(wanted.begin(), wanted.end());
      std::vector<std::tuple<uint64_t, std::string, bool>> got;
      const auto reply = store().changes(call_, id, since, 1000);
      ASSERT_TRUE(reply.ok()) << reply.status().detail();
      for (const Change& change : reply->changes) got.emplace_back(change.row.version, change.row.key, change.erased);
      EXPECT_EQ(wanted, got) << "since " << since;
    }
  }

  Model model_;
};

TEST_P(ModelConformance, random_commits_behave_as_the_model_does) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    engine_ = nullptr;
    engine_ = GetParam().make();
    model_ = Model();
    std::vector<RequestId> ids;
    run([&] {
      for (int i = 0; i < 40; ++i) ids.push_back(request_id());
    });
    for (int round = 0; round < 20 && !HasFailure(); ++round) {
      run([&] {
        for (int step = 0; step < 25; ++step) {
          std::vector<Commit> commits;
          for (uint64_t i = 1 + random.below(4); i > 0; --i) commits.push_back(random_commit(random, model_, ids));
          const auto replies = store().commit_many(call_, commits, Order::any);
          for (size_t i = 0; i < commits.size(); ++i) compare(commits[i].entity, model_.commit(commits[i]), replies[i]);
        }
        compare_all();
      });
      if (random.one_in(3)) reopen();
    }
  }
}

}  // namespace hongyan::store::conformance
