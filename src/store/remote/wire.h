// Between the values of store/entity and their messages. What comes from the wire is checked for what the types can't
// hold (numbers that do not fit); everything else is the engine's to refuse. Pure. Errors: invalid.
#pragma once

#include "store/entity/store.h"
#include "store/remote/store.pb.h"

namespace hongyan::store {

void to_wire(const EntityId& entity, wire::EntityId& out);
void to_wire(const Header& header, wire::Header& out);
void to_wire(Row row, wire::Row& out);
void to_wire(Commit commit, wire::Commit& out);
void to_wire(Result<CommitReply> reply, wire::CommitResult& out);
void to_wire(const Read& read, wire::Read& out);
void to_wire(Result<ReadReply> reply, wire::ReadResult& out);

Result<EntityId> from_wire(const wire::EntityId& in);
Header from_wire(const wire::Header& in);
Row from_wire(wire::Row&& in);
Result<Commit> from_wire(wire::Commit&& in);
Result<CommitReply> from_wire(wire::CommitResult&& in);
Result<Read> from_wire(const wire::Read& in);
Result<ReadReply> from_wire(wire::ReadResult&& in);
Result<WorkTag> tag_from_wire(uint32_t tag);

}  // namespace hongyan::store
