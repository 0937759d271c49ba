#include "storage/stores/audit/audit_rows.h"

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/columns.h"

namespace polder::stores {
namespace {

constexpr uint8_t kFormat = 1;

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

Result<std::vector<AuditRecord>> read_audit(const kv::Snapshot& snapshot, kv::Position after,
                                            size_t limit) {
  std::vector<AuditRecord> records;
  const auto rows = snapshot.iterate(kAudit, {keys::KeyWriter().u64(after + 1).str(), {}});
  for (rows->seek_to_first(); rows->valid() && records.size() < limit; rows->next()) {
    POLDER_TRY(AuditRecord record, decode(*rows));
    records.push_back(std::move(record));
  }
  POLDER_CHECK(rows->status());
  return records;
}

}  // namespace polder::stores
