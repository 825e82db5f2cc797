#include "store/remote/wire.h"

#include <limits>
#include <utility>

namespace hongyan::store {

namespace {

Status bad(const char* what) { return Status(Code::invalid, std::string("store: ") + what); }

// Codes of later versions travel through.
Status failure_of(uint32_t code, std::string detail) { return Status(static_cast<Code>(code), std::move(detail)); }

}  // namespace

void to_wire(const EntityId& entity, wire::EntityId& out) {
  out.set_table(entity.table);
  out.set_id(entity.id);
}

Result<EntityId> from_wire(const wire::EntityId& in) {
  if (in.table() > std::numeric_limits<TableId>::max()) return bad("no such table");
  return EntityId{.table = static_cast<TableId>(in.table()), .id = in.id()};
}

void to_wire(const Header& header, wire::Header& out) {
  out.set_format(header.format);
  out.set_incarnation(header.incarnation);
  out.set_version(header.version);
  out.set_floor(header.floor);
  out.set_position(header.position);
}

Header from_wire(const wire::Header& in) {
  return {.format = in.format(), .incarnation = in.incarnation(), .version = in.version(), .floor = in.floor(),
          .position = in.position()};
}

void to_wire(Row row, wire::Row& out) {
  out.set_key(std::move(row.key));
  out.set_value(std::move(row.value));
  out.set_version(row.version);
}

Row from_wire(wire::Row&& in) {
  return {.key = std::move(*in.mutable_key()), .value = std::move(*in.mutable_value()), .version = in.version()};
}

void to_wire(Commit commit, wire::Commit& out) {
  to_wire(commit.entity, *out.mutable_entity());
  out.set_request_id(std::move(commit.request_id));
  for (Precondition& condition : commit.preconditions) {
    auto& to = *out.add_preconditions();
    to.set_kind(static_cast<uint32_t>(condition.kind));
    to.set_key(std::move(condition.key));
    to.set_value(condition.value);
  }
  for (Mutation& mutation : commit.mutations) {
    auto& to = *out.add_mutations();
    to.set_kind(static_cast<uint32_t>(mutation.kind));
    to.set_key(std::move(mutation.key));
    to.set_value(std::move(mutation.value));
    to.set_number(mutation.number);
    to.set_stamp(static_cast<uint32_t>(mutation.stamp));
  }
  out.set_silent(commit.visibility == Visibility::silent);
  if (commit.mark_work) out.set_mark_work(*commit.mark_work);
  if (commit.work_done) {
    out.mutable_work_done()->set_tag(commit.work_done->tag);
    out.mutable_work_done()->set_done_up_to(commit.work_done->done_up_to);
  }
  if (commit.raise_floor) out.set_raise_floor(*commit.raise_floor);
}

Result<WorkTag> tag_from_wire(uint32_t tag) {
  if (tag > std::numeric_limits<WorkTag>::max()) return bad("no such work");
  return static_cast<WorkTag>(tag);
}

Result<Commit> from_wire(wire::Commit&& in) {
  Commit out;
  out.entity = TRY(from_wire(in.entity()));
  out.request_id = std::move(*in.mutable_request_id());
  out.preconditions.reserve(static_cast<size_t>(in.preconditions_size()));
  for (wire::Precondition& condition : *in.mutable_preconditions()) {
    // The engine refuses kinds it does not know; here they must only fit.
    if (condition.kind() > 255) return bad("unknown precondition");
    out.preconditions.push_back({.kind = static_cast<Precondition::Kind>(condition.kind()),
                                 .key = std::move(*condition.mutable_key()),
                                 .value = condition.value()});
  }
  out.mutations.reserve(static_cast<size_t>(in.mutations_size()));
  for (wire::Mutation& mutation : *in.mutable_mutations()) {
    if (mutation.kind() > 255 || mutation.stamp() > 255) return bad("unknown mutation");
    out.mutations.push_back({.kind = static_cast<Mutation::Kind>(mutation.kind()),
                             .key = std::move(*mutation.mutable_key()),
                             .value = std::move(*mutation.mutable_value()),
                             .number = mutation.number(),
                             .stamp = static_cast<Mutation::Stamp>(mutation.stamp())});
  }
  out.visibility = in.silent() ? Visibility::silent : Visibility::visible;
  if (in.has_mark_work()) out.mark_work = TRY(tag_from_wire(in.mark_work()));
  if (in.has_work_done()) {
    out.work_done = WorkDone{.tag = TRY(tag_from_wire(in.work_done().tag())), .done_up_to = in.work_done().done_up_to()};
  }
  if (in.has_raise_floor()) out.raise_floor = in.raise_floor();
  return out;
}

void to_wire(Result<CommitReply> reply, wire::CommitResult& out) {
  if (!reply.ok()) {
    out.set_code(static_cast<uint32_t>(reply.code()));
    out.set_detail(reply.status().detail());
    return;
  }
  wire::CommitReply& to = *out.mutable_reply();
  to.set_committed(reply->committed);
  to_wire(reply->header, *to.mutable_header());
  for (int64_t number : reply->numbers) to.add_numbers(number);
  to.set_failed_precondition(static_cast<uint32_t>(reply->failed_precondition));
  if (reply->present) to_wire(std::move(*reply->present), *to.mutable_present());
  to.set_replayed(reply->replayed);
}

Result<CommitReply> from_wire(wire::CommitResult&& in) {
  if (in.code() != 0) return failure_of(in.code(), std::move(*in.mutable_detail()));
  wire::CommitReply& from = *in.mutable_reply();
  CommitReply out;
  out.committed = from.committed();
  out.header = from_wire(from.header());
  out.numbers.assign(from.numbers().begin(), from.numbers().end());
  out.failed_precondition = from.failed_precondition();
  if (from.has_present()) out.present = from_wire(std::move(*from.mutable_present()));
  out.replayed = from.replayed();
  return out;
}

void to_wire(const Read& read, wire::Read& out) {
  to_wire(read.entity, *out.mutable_entity());
  out.set_from(read.from);
  out.set_to(read.to);
  out.set_backward(read.direction == Direction::backward);
  out.set_rows_max(read.rows_max);
  out.set_bytes_max(read.bytes_max);
  for (const Filter& filter : read.filters) {
    auto& to = *out.add_filters();
    to.set_field(filter.field);
    if (filter.number) to.set_number(*filter.number);
    if (filter.bytes) to.set_bytes(*filter.bytes);
  }
  for (uint32_t field : read.projection) out.add_projection(field);
}

Result<Read> from_wire(const wire::Read& in) {
  Read out;
  out.entity = TRY(from_wire(in.entity()));
  out.from = in.from();
  out.to = in.to();
  out.direction = in.backward() ? Direction::backward : Direction::forward;
  out.rows_max = in.rows_max();
  out.bytes_max = in.bytes_max();
  for (const wire::Filter& filter : in.filters()) {
    Filter& to = out.filters.emplace_back();
    to.field = filter.field();
    if (filter.has_number()) to.number = filter.number();
    if (filter.has_bytes()) to.bytes = filter.bytes();
  }
  out.projection.assign(in.projection().begin(), in.projection().end());
  return out;
}

void to_wire(Result<ReadReply> reply, wire::ReadResult& out) {
  if (!reply.ok()) {
    out.set_code(static_cast<uint32_t>(reply.code()));
    out.set_detail(reply.status().detail());
    return;
  }
  wire::ReadReply& to = *out.mutable_reply();
  to_wire(reply->header, *to.mutable_header());
  to.mutable_rows()->Reserve(static_cast<int>(reply->rows.size()));
  for (Row& row : reply->rows) to_wire(std::move(row), *to.add_rows());
  to.set_more(reply->more);
}

Result<ReadReply> from_wire(wire::ReadResult&& in) {
  if (in.code() != 0) return failure_of(in.code(), std::move(*in.mutable_detail()));
  wire::ReadReply& from = *in.mutable_reply();
  ReadReply out;
  out.header = from_wire(from.header());
  out.rows.reserve(static_cast<size_t>(from.rows_size()));
  for (wire::Row& row : *from.mutable_rows()) out.rows.push_back(from_wire(std::move(row)));
  out.more = from.more();
  return out;
}

}  // namespace hongyan::store
