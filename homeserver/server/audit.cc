#include "homeserver/server/audit.h"

#include <ctime>

#include "homeserver/base/json/write.h"
#include "homeserver/base/runtime/repeat.h"
#include "storage/stores/audit/audit_rows.h"

namespace polder::server {
namespace {

constexpr size_t kRecordsAtOnce = 10'000;
constexpr Millis kBreath{5};  // between two steps, for others

std::string utc(int64_t ms) {
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

bool matches(const stores::AuditRecord& record, const AuditFilter& filter) {
  const auto is = [](const std::string& wanted, const std::string& found) {
    return wanted.empty() || wanted == found;
  };
  return is(filter.actor, record.actor) && is(filter.act, record.act) &&
         is(filter.room, record.room) && !(filter.refused && record.permitted);
}

std::string line_of(const stores::AuditRecord& record) {
  json::Object line{{"position", static_cast<int64_t>(record.position)},
                    {"at", utc(record.at_ms)},
                    {"actor_kind", record.actor_kind},
                    {"actor", record.actor},
                    {"act", record.act},
                    {"permitted", record.permitted},
                    {"by", record.by}};
  const std::pair<const char*, const std::string&> given[] = {{"device", record.device},
                                                              {"room", record.room},
                                                              {"target", record.target},
                                                              {"event", record.event}};
  for (const auto& [name, value] : given) {
    if (!value.empty()) line.set(name, value);
  }
  if (record.left_out > 0) line.set("left_out", static_cast<int64_t>(record.left_out));
  return json::write(line);
}

}  // namespace

Status list_audit(const kv::Database& database, const AuditFilter& filter,
                  const std::function<void(const std::string& line)>& take) {
  size_t listed = 0;
  return stores::for_each_audit(*database.snapshot(), filter.after,
                                [&](const stores::AuditRecord& record, size_t) {
                                  if (!matches(record, filter)) return true;
                                  take(line_of(record));
                                  return ++listed != filter.limit;
                                });
}

Task<void> AuditRetention::run(Millis pause) {
  return runtime::repeat(runtime_, kAuditJob, pause, [this] { return pass_and_tell(); });
}

Task<Status> AuditRetention::pass_and_tell() {
  POLDER_CO_TRY(const uint64_t gone, co_await pass());
  if (gone > 0) runtime_.log().info("audit_erased", {{"records", gone}});
  co_return Status();
}

Task<Result<uint64_t>> AuditRetention::pass() {
  uint64_t bytes = 0;
  if (keep_.bytes > 0) {
    POLDER_CO_TRY(bytes, co_await bytes_of_all());
  }
  const int64_t before_ms =
      keep_.age > Millis(0) ? runtime_.clock().wall_ms() - keep_.age.count() : INT64_MIN;
  uint64_t gone = 0;
  Stretch old;
  do {
    auto find = [this, after = old.to, before_ms,
                 too_much = keep_.bytes > 0 && bytes > keep_.bytes ? bytes - keep_.bytes : 0] {
      return find_old(after, before_ms, too_much);
    };
    const kv::Position after = old.to;
    POLDER_CO_TRY(old, co_await runtime::on_pool(runtime_, runtime::Lane::kLong, std::move(find)));
    if (old.records == 0) break;
    kv::Batch batch;
    stores::erase_audit(batch, after, old.to);
    POLDER_CO_CHECK(co_await committer_.commit(std::move(batch), kv::Durability::kLazy));
    gone += old.records;
    bytes -= std::min(bytes, old.bytes);
  } while (old.more && !runtime_.jobs().stop_asked(kAuditJob));
  co_return gone;
}

Task<Result<uint64_t>> AuditRetention::bytes_of_all() {
  uint64_t bytes = 0;
  for (Stretch stretch{.more = true}; stretch.more;) {
    auto count = [this, after = stretch.to] { return find_old(after, INT64_MAX, 0); };
    POLDER_CO_TRY(stretch,
                  co_await runtime::on_pool(runtime_, runtime::Lane::kLong, std::move(count)));
    bytes += stretch.bytes;
    if (stretch.more) co_await runtime::sleep_for(runtime_, kBreath);
  }
  co_return bytes;
}

Result<AuditRetention::Stretch> AuditRetention::find_old(kv::Position after, int64_t before_ms,
                                                         uint64_t too_much) const {
  Stretch found{.to = after};
  POLDER_CHECK(stores::for_each_audit(*database_.snapshot(), after,
                                      [&](const stores::AuditRecord& record, size_t size) {
                                        if (record.at_ms >= before_ms && found.bytes >= too_much)
                                          return false;
                                        found.to = record.position;
                                        found.bytes += size;
                                        found.more = ++found.records == kRecordsAtOnce;
                                        return !found.more;
                                      }));
  return found;
}

}  // namespace polder::server
