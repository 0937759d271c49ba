// Rows of media: what an mxc:// URI stands for, which files the rows refer to, what a user has
// uploaded, and what was fetched from other servers. The bytes are files (media/files), named by
// their digest.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "homeserver/base/values/bytes.h"
#include "homeserver/base/values/ids.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"

namespace polder::stores {

// Times are milliseconds since the epoch.
struct MediaRow {
  UserNumber uploader = 0;  // 0: fetched from the server that the URI names
  int64_t created_ms = 0;
  int64_t expires_ms = 0;  // of an id whose content has not come yet; 0: the content is there
  Digest digest{};         // SHA-256 of the content, from here on with content only
  uint64_t size = 0;       // bytes
  std::string content_type;
  std::string file_name;  // empty: none

  bool pending() const { return expires_ms != 0; }
};

// Replaces the row of the URI, if any, which is `before`, with all that is derived from it.
void put_media(kv::Batch& batch, const MxcUri& uri, const MediaRow& row,
               const std::optional<MediaRow>& before);
void erase_media(kv::Batch& batch, const MxcUri& uri, const MediaRow& row);
Result<std::optional<MediaRow>> read_media(const kv::Snapshot& snapshot, const MxcUri& uri);

// Whether any row refers to the file.
Result<bool> is_referenced(const kv::Snapshot& snapshot, const Digest& digest);

// Every file that a row refers to, once.
Status for_each_referenced(const kv::Snapshot& snapshot,
                           const std::function<Status(const Digest&)>& visit);

// What a user has uploaded.
struct MediaOfUser {
  uint64_t bytes = 0;
  std::vector<MxcUri> pending;  // expired ones too
};
Result<MediaOfUser> read_media_of_user(const kv::Snapshot& snapshot, UserNumber user);

// What was fetched from other servers, oldest first; all bytes of it.
Result<std::vector<MxcUri>> read_oldest_fetched(const kv::Snapshot& snapshot, size_t limit);
Result<uint64_t> read_fetched_bytes(const kv::Snapshot& snapshot);

}  // namespace polder::stores
