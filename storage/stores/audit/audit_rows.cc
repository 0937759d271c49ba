#include "storage/stores/audit/audit_rows.h"

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/columns.h"

namespace polder::stores {
namespace {

constexpr uint8_t kFormat = 1;

std::string audit_key(kv::Position position) {
  return keys::KeyWriter().u64(position).str();
}

Result<AuditRecord> decode(const kv::Iterator& rows) {
  keys::KeyReader key(rows.key());
  AuditRecord record;
  record.position = key.u64();
  if (!key.at_end()) return fail(ErrorCode::kCorrupt, "damaged key in column audit");
  keys::ValueReader value(rows.value(), kFormat);
  record.at_ms = value.signed_varint();
  record.actor_kind = value.text();
  record.actor = value.text();
  record.device = value.text();
  record.act = value.text();
  record.permitted = value.boolean();
  record.by = value.text();
  record.room = value.text();
  record.target = value.text();
  record.event = value.text();
  record.left_out = value.varint();
  POLDER_CHECK(value.finish("audit record"));
  return record;
}

}  // namespace

void put_audit(kv::Batch& batch, const AuditRecord& record) {
  keys::put(batch, kAudit, keys::KeyWriter().position(batch.reserve_position()),
            keys::ValueWriter(kFormat)
                .signed_varint(record.at_ms)
                .text(record.actor_kind)
                .text(record.actor)
                .text(record.device)
                .text(record.act)
                .boolean(record.permitted)
                .text(record.by)
                .text(record.room)
                .text(record.target)
                .text(record.event)
                .varint(record.left_out));
}

Status for_each_audit(const kv::Snapshot& snapshot, kv::Position after,
                      const std::function<bool(const AuditRecord&, size_t bytes)>& visit) {
  const auto rows = snapshot.iterate(kAudit, {audit_key(after + 1), {}});
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    POLDER_TRY(const AuditRecord record, decode(*rows));
    if (!visit(record, rows->key().size() + rows->value().size())) return {};
  }
  return rows->status();
}

Result<std::vector<AuditRecord>> read_audit(const kv::Snapshot& snapshot, kv::Position after,
                                            size_t limit) {
  std::vector<AuditRecord> records;
  POLDER_CHECK(for_each_audit(snapshot, after, [&](const AuditRecord& record, size_t) {
    if (records.size() < limit) records.push_back(record);
    return records.size() < limit;
  }));
  return records;
}

void erase_audit(kv::Batch& batch, kv::Position after, kv::Position to) {
  batch.erase_range(kAudit, audit_key(after + 1), audit_key(to + 1));
}

}  // namespace polder::stores
