// The shapes of keys, whoever sends them: a local client, or another server. Pure; thread-safe.
#pragma once

#include <string_view>

#include "homeserver/base/json/value.h"
#include "homeserver/base/values/ids.h"

namespace polder::users {

inline constexpr size_t kKeyBytesMax = 65536;  // of one key or one device's keys

// Keys of this user's device: complete, named after it, canonical
// (https://spec.matrix.org/v1.19/client-server-api/#device-keys). kInvalid, kTooLarge.
Status check_device_keys(const UserId& user, const DeviceId& device, const json::Object& keys);
// A cross-signing key of this user: one key, named by itself
// (https://spec.matrix.org/v1.19/client-server-api/#cross-signing). usage: "master", ...
Status check_cross_signing_key(const UserId& user, std::string_view usage, const json::Object& key);
// A map from key ids to keys that are strings or objects with a `key`: one-time and fallback keys.
Status check_key_map(const json::Object& keys);

// The object with no other signatures than the user's own.
json::Object with_signatures_of(const UserId& user, json::Object object);
// Adds the signatures of one object to another.
void merge_signatures(json::Object& into, const json::Object& from);

}  // namespace polder::users
