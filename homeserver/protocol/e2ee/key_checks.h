// The forms of the keys of end-to-end encryption, whoever sends them: a local client, or another
// server. Pure; thread-safe.
#pragma once

#include <optional>
#include <string_view>

#include "homeserver/base/json/value.h"
#include "homeserver/base/values/ids.h"

namespace polder::e2ee {

inline constexpr size_t kKeyBytesMax = 65536;  // of one key or one device's keys, with signatures

// Keys of this user's device: complete, named after it, canonical
// (https://spec.matrix.org/v1.19/client-server-api/#device-keys). kInvalid, kTooLarge;
// kBadSignature for signatures that are no strings.
Status check_device_keys(const UserId& user, const DeviceId& device, const json::Object& keys);
// A cross-signing key of this user: one key, named by itself
// (https://spec.matrix.org/v1.19/client-server-api/#cross-signing). usage: "master", ...
Status check_cross_signing_key(const UserId& user, std::string_view usage, const json::Object& key);
// The name of the one key of a cross-signing key, which is the key itself; it was checked.
std::string_view name_of_cross_signing_key(const json::Object& key);
// A map from key ids to keys that are strings or objects with a `key`, canonical: one-time and
// fallback keys.
Status check_key_map(const json::Object& keys);

// The object with no other signatures than the user's own.
json::Object with_signatures_of(const UserId& user, json::Object object);
// Adds the signatures of one object to another.
void merge_signatures(json::Object& into, const json::Object& from);

// A stored key, fit to be given to anybody: canonical and no larger than one may be. Keys that were
// stored before there were these rules lose what breaks them, signatures first; nothing if that
// does not help.
std::optional<json::Object> stored_key(std::string_view text);

}  // namespace polder::e2ee
