// Signatures on a user's keys: who may make them, and which are right. Pure; thread-safe.
// https://spec.matrix.org/v1.19/client-server-api/#cross-signing
#pragma once

#include <map>
#include <string>

#include "homeserver/base/json/value.h"
#include "homeserver/base/values/ids.h"

namespace polder::users {

// Public keys in base64, by their ids ("ed25519:PHONE").
using PublicKeys = std::map<std::string, std::string, std::less<>>;

// The ed25519 keys of a device's keys or of a cross-signing key.
PublicKeys public_keys_of(const json::Object& object);

// Whether both say the same, whoever signed them.
bool same_but_signatures(json::Object a, json::Object b);

enum class Unknown : uint8_t { kRefuse, kLeaveOut };

// Puts the user's signatures of `given` on `known`, which is the same but for signatures, and takes
// off what the user signed with other keys than these. What `known` has already is not looked at
// again; every other signature must be right, else kBadSignature and `known` as it was. So is one
// with a key that is not among these, unless they are left out. Signatures of other users are.
Status add_signatures(json::Object& known, const json::Object& given, const UserId& user,
                      const PublicKeys& keys, Unknown unknown);

// Whether the user signed the object with one of the keys, rightly.
bool is_signed(const json::Object& object, const UserId& user, const PublicKeys& keys);

// Keys that a device uploads again keep what others of the user's keys signed of them; they are the
// same but for signatures.
void keep_signatures(json::Object& uploaded, const json::Object& known, const UserId& user,
                     const DeviceId& device);

}  // namespace polder::users
