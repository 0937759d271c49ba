#include "storage/stores/media/media_rows.h"

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/rows.h"

namespace polder::stores {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kMediaTag = tag_of(Row::kMedia);
constexpr uint8_t kReferenceTag = tag_of(Row::kMediaReference);
constexpr uint8_t kUserTag = tag_of(Row::kMediaOfUser);
constexpr uint8_t kFetchedTag = tag_of(Row::kFetchedMedia);

std::string media_key(const MxcUri& uri) {
  return keys::KeyWriter(kMediaTag).text(uri.server()).tail(uri.media_id()).str();
}
keys::KeyWriter reference_prefix(const Digest& digest) {
  keys::KeyWriter key(kReferenceTag);
  key.tail(as_text(digest));
  return key;
}
std::string user_key(UserNumber user, const MxcUri& uri) {
  return keys::KeyWriter(kUserTag).u64(user).tail(uri.view()).str();
}
std::string fetched_key(const MediaRow& row, const MxcUri& uri) {
  return keys::KeyWriter(kFetchedTag)
      .u64(static_cast<uint64_t>(row.created_ms))
      .tail(uri.view())
      .str();
}

// The keys besides the row itself: what refers to the file, and who answers for its bytes.
std::string owner_key(const MxcUri& uri, const MediaRow& row) {
  return row.uploader != 0 ? user_key(row.uploader, uri) : fetched_key(row, uri);
}
std::string reference_key(const MxcUri& uri, const MediaRow& row) {
  return reference_prefix(row.digest).tail(uri.view()).str();
}

}  // namespace

void put_media(kv::Batch& batch, const MxcUri& uri, const MediaRow& row,
               const std::optional<MediaRow>& before) {
  if (before) erase_media(batch, uri, *before);
  keys::ValueWriter value(kFormat);
  value.varint(row.uploader).signed_varint(row.created_ms).signed_varint(row.expires_ms);
  if (!row.pending()) {
    value.text(as_text(row.digest)).varint(row.size).text(row.content_type).text(row.file_name);
    batch.put(kMedia, reference_key(uri, row), keys::ValueWriter(kFormat).str());
  }
  batch.put(kMedia, media_key(uri), value.str());
  batch.put(kMedia, owner_key(uri, row),
            keys::ValueWriter(kFormat).boolean(row.pending()).varint(row.size).str());
}

void erase_media(kv::Batch& batch, const MxcUri& uri, const MediaRow& row) {
  batch.erase(kMedia, media_key(uri));
  batch.erase(kMedia, owner_key(uri, row));
  if (!row.pending()) batch.erase(kMedia, reference_key(uri, row));
}

Result<std::optional<MediaRow>> read_media(const kv::Snapshot& snapshot, const MxcUri& uri) {
  POLDER_TRY(const auto value, snapshot.get(kMedia, media_key(uri)));
  if (!value) return std::optional<MediaRow>();
  keys::ValueReader reader(*value, kFormat);
  MediaRow row;
  row.uploader = reader.varint();
  row.created_ms = reader.signed_varint();
  row.expires_ms = reader.signed_varint();
  if (!row.pending()) {
    const std::string_view digest = reader.text();
    row.size = reader.varint();
    row.content_type = reader.text();
    row.file_name = reader.text();
    if (digest.size() != row.digest.size()) return fail(ErrorCode::kCorrupt, "media: digest");
    std::ranges::copy(as_bytes(digest), row.digest.begin());
  }
  POLDER_CHECK(reader.finish("media"));
  return std::optional(std::move(row));
}

Result<bool> is_referenced(const kv::Snapshot& snapshot, const Digest& digest) {
  const auto rows = snapshot.iterate(kMedia, kv::prefix_range(reference_prefix(digest)));
  rows->seek_to_first();
  POLDER_CHECK(rows->status());
  return rows->valid();
}

Status for_each_referenced(const kv::Snapshot& snapshot,
                           const std::function<Status(const Digest&)>& visit) {
  Digest last{};
  const auto rows =
      snapshot.iterate(kMedia, kv::prefix_range(keys::KeyWriter(kReferenceTag).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    const std::string_view name = rows->key().substr(1, last.size());
    if (name.size() != last.size()) return fail(ErrorCode::kCorrupt, "media: reference");
    if (name == as_text(last)) continue;
    std::ranges::copy(as_bytes(name), last.begin());
    POLDER_CHECK(visit(last));
  }
  return rows->status();
}

Result<MediaOfUser> read_media_of_user(const kv::Snapshot& snapshot, UserNumber user) {
  MediaOfUser media;
  const std::string prefix = keys::KeyWriter(kUserTag).u64(user).str();
  const auto rows = snapshot.iterate(kMedia, kv::prefix_range(prefix));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::ValueReader reader(rows->value(), kFormat);
    const bool pending = reader.boolean();
    media.bytes += reader.varint();
    POLDER_CHECK(reader.finish("media of a user"));
    if (pending)
      media.pending.push_back(MxcUri::trusted(std::string(rows->key().substr(prefix.size()))));
  }
  POLDER_CHECK(rows->status());
  return media;
}

Result<std::vector<MxcUri>> read_oldest_fetched(const kv::Snapshot& snapshot, size_t limit) {
  std::vector<MxcUri> oldest;
  const auto rows = snapshot.iterate(kMedia, kv::prefix_range(keys::KeyWriter(kFetchedTag).str()));
  for (rows->seek_to_first(); rows->valid() && oldest.size() < limit; rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    key.u64();
    oldest.push_back(MxcUri::trusted(std::string(key.tail())));
  }
  POLDER_CHECK(rows->status());
  return oldest;
}

Result<uint64_t> read_fetched_bytes(const kv::Snapshot& snapshot) {
  uint64_t bytes = 0;
  const auto rows = snapshot.iterate(kMedia, kv::prefix_range(keys::KeyWriter(kFetchedTag).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::ValueReader reader(rows->value(), kFormat);
    reader.boolean();
    bytes += reader.varint();
    POLDER_CHECK(reader.finish("fetched media"));
  }
  POLDER_CHECK(rows->status());
  return bytes;
}

}  // namespace polder::stores
