#include "homeserver/server/schema.h"

#include "homeserver/server/migrations.h"

namespace polder::server {

Status open_schema(kv::Database& database, const ServerName& server_name, Log& log) {
  POLDER_TRY(auto schema, read_schema(*database.snapshot(), kSchemaNumber));
  if (!schema) {
    kv::Batch batch;
    put_schema(batch, {kSchemaNumber, server_name.str()});
    const kv::Batch* one = &batch;
    return database.write({&one, 1}, database.last_position() + 1, true);
  }
  if (schema->server_name != server_name.view()) {
    return fail(ErrorCode::kInvalid,
                "the database belongs to " + schema->server_name + ", not to " + server_name.str());
  }
  return migrate(database, *std::move(schema), all_migrations(), kSchemaNumber, log);
}

}  // namespace polder::server
