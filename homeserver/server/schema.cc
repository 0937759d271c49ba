#include "homeserver/server/schema.h"

#include "storage/keys/value.h"
#include "storage/stores/base/columns.h"

namespace polder::server {
namespace {

constexpr std::string_view kKey = "schema";
constexpr uint8_t kFormat = 1;

}  // namespace

Status check_schema(kv::Database& database, const ServerName& server_name) {
  POLDER_TRY(const auto value, database.snapshot()->get(stores::kMeta, kKey));
  if (!value) {
    kv::Batch batch;
    batch.put(stores::kMeta, kKey,
              keys::ValueWriter(kFormat).varint(kSchemaNumber).text(server_name.view()).str());
    const kv::Batch* one = &batch;
    return database.write({&one, 1}, database.last_position() + 1, true);
  }
  keys::ValueReader reader(*value, kFormat);
  const uint64_t number = reader.varint();
  const std::string owner(reader.text());
  POLDER_CHECK(reader.finish("schema"));
  if (number != kSchemaNumber) {
    return fail(ErrorCode::kUnsupported, "the database has schema " + std::to_string(number) +
                                             "; this program knows only " +
                                             std::to_string(kSchemaNumber));
  }
  if (owner != server_name.view())
    return fail(ErrorCode::kInvalid,
                "the database belongs to " + owner + ", not to " + server_name.str());
  return {};
}

}  // namespace polder::server
