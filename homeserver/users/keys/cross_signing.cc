// Cross-signing keys of local users, and what they sign.
// https://spec.matrix.org/v1.19/client-server-api/#cross-signing
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/e2ee/key_checks.h"
#include "homeserver/users/keys/device_keys.h"
#include "homeserver/users/keys/key_signatures.h"

namespace polder::users {
namespace {

constexpr std::pair<std::string_view, std::string_view> kUsages[] = {
    {"master_key", "master"},
    {"self_signing_key", "self_signing"},
    {"user_signing_key", "user_signing"}};

// What is stored of a user's keys, as of one snapshot.
class StoredKeys {
 public:
  StoredKeys(const kv::Snapshot& snapshot, const Session& session)
      : snapshot_(snapshot), user_(session.number) {}

  Result<std::optional<json::Object>> cross_signing_key(std::string_view usage) const {
    POLDER_TRY(const auto text, stores::read_cross_signing_key(snapshot_, user_, usage));
    return text ? e2ee::stored_key(*text) : std::nullopt;
  }
  Result<std::optional<json::Object>> device(const DeviceId& device) const {
    POLDER_TRY(const auto text, stores::read_device_keys_of(snapshot_, user_, device));
    return text ? e2ee::stored_key(*text) : std::nullopt;
  }
  // Those of all devices.
  Result<PublicKeys> device_keys() const {
    POLDER_TRY(const auto devices, stores::read_device_keys(snapshot_, user_));
    PublicKeys all;
    for (const auto& [device, text] : devices) {
      if (const auto keys = e2ee::stored_key(text)) all.merge(public_keys_of(*keys));
    }
    return all;
  }
  Result<PublicKeys> keys_of(std::string_view usage) const {
    POLDER_TRY(const auto key, cross_signing_key(usage));
    return key ? public_keys_of(*key) : PublicKeys();
  }

 private:
  const kv::Snapshot& snapshot_;
  const stores::UserNumber user_;
};

// keys/device_signing/upload, in the user's turn.
class CrossSigningUpload {
 public:
  CrossSigningUpload(const kv::Snapshot& snapshot, const Session& session, const json::Object& body)
      : snapshot_(snapshot), session_(session), stored_(snapshot, session), body_(body) {}

  Result<CrossSigning> check() {
    POLDER_CHECK(read_master());
    for (const auto& [name, usage] : kUsages) {
      if (const json::Object* key = body_.find_object(name)) POLDER_CHECK(check_key(usage, *key));
    }
    if (fresh_.empty()) return CrossSigning::kUnchanged;
    return replaces_ ? CrossSigning::kUnconfirmed : CrossSigning::kStored;
  }

  void write(kv::Batch& batch) const {
    for (const auto& [usage, key] : fresh_)
      stores::put_cross_signing_key(batch, session_.number, usage, json::write(key));
    stores::put_device_list_change(batch, batch.reserve_position(), session_.number, {});
  }

 private:
  // The master key of the request, or else the last one; what it may be signed with.
  Status read_master() {
    POLDER_TRY(const auto before, stored_.cross_signing_key("master"));
    const json::Object* given = body_.find_object("master_key");
    if (given == nullptr && !before) return fail(ErrorCode::kMissing, "there is no master key");
    has_master_ = before.has_value();
    master_ = public_keys_of(given != nullptr ? *given : *before);
    POLDER_TRY(signers_, stored_.device_keys());
    signers_.insert(master_.begin(), master_.end());
    return {};
  }

  Status check_key(std::string_view usage, const json::Object& key) {
    const auto name = DeviceId::trusted(std::string(e2ee::name_of_cross_signing_key(key)));
    POLDER_TRY(const auto device, stores::read_device(snapshot_, session_.number, name));
    if (device) return fail(ErrorCode::kForbidden, "a key has the name of a device");
    if (usage != "master" && !is_signed(key, session_.user, master_))
      return fail(ErrorCode::kBadSignature, "the master key did not sign the key");
    POLDER_TRY(const auto before, stored_.cross_signing_key(usage));
    const bool same = before && same_but_signatures(*before, key);
    json::Object fresh = same ? *before : key;
    if (!same) fresh.erase("signatures");
    fresh.erase("unsigned");
    POLDER_CHECK(add_signatures(fresh, key, session_.user, signers_, Unknown::kLeaveOut));
    if (!same) replaces_ = replaces_ || has_master_;
    if (before != fresh) fresh_.emplace_back(usage, std::move(fresh));
    return {};
  }

  const kv::Snapshot& snapshot_;
  const Session& session_;
  const StoredKeys stored_;
  const json::Object& body_;
  PublicKeys master_, signers_;
  bool has_master_ = false;
  bool replaces_ = false;
  std::vector<std::pair<std::string_view, json::Object>> fresh_;
};

// keys/signatures/upload, in the user's turn.
class SignatureUpload {
 public:
  SignatureUpload(const Parts& parts, const kv::Snapshot& snapshot, const Session& session,
                  kv::Batch& batch)
      : parts_(parts),
        snapshot_(snapshot),
        session_(session),
        stored_(snapshot, session),
        batch_(batch) {}

  Status take(const std::string& user, const std::string& name, const json::Object& given) {
    if (user != session_.user.view()) return take_other(user, name, given);
    const DeviceId device = DeviceId::trusted(name);
    POLDER_TRY(auto keys, stored_.device(device));
    return keys ? take_device(device, *std::move(keys), given) : take_master(name, given);
  }

 private:
  static Error unknown() { return fail(ErrorCode::kNotFound, "an unknown key, or another"); }

  // "The self-signing key is used to sign the user's own devices."
  Status take_device(const DeviceId& device, json::Object keys, const json::Object& given) {
    if (!same_but_signatures(keys, given)) return unknown();
    PublicKeys signers = public_keys_of(keys);
    POLDER_TRY(PublicKeys self_signing, stored_.keys_of("self_signing"));
    signers.merge(self_signing);
    const json::Object before = keys;
    POLDER_CHECK(add_signatures(keys, given, session_.user, signers, Unknown::kRefuse));
    if (keys == before) return {};
    const std::string text = json::write(keys);
    if (text.size() > kDeviceKeysBytesMax)
      return fail(ErrorCode::kTooLarge, "the device has too many signatures");
    stores::put_device_keys(batch_, session_.number, device, text);
    stores::put_device_list_change(batch_, batch_.reserve_position(), session_.number, device);
    return {};
  }

  // Devices sign it.
  Status take_master(const std::string& name, const json::Object& given) {
    POLDER_TRY(auto master, stored_.cross_signing_key("master"));
    if (!master || e2ee::name_of_cross_signing_key(*master) != name ||
        !same_but_signatures(*master, given))
      return unknown();
    POLDER_TRY(PublicKeys signers, stored_.device_keys());
    signers.merge(public_keys_of(*master));
    const json::Object before = *master;
    POLDER_CHECK(add_signatures(*master, given, session_.user, signers, Unknown::kRefuse));
    if (*master == before) return {};
    const std::string text = json::write(*master);
    if (text.size() > e2ee::kKeyBytesMax)
      return fail(ErrorCode::kTooLarge, "the key has too many signatures");
    stores::put_cross_signing_key(batch_, session_.number, "master", text);
    stores::put_device_list_change(batch_, batch_.reserve_position(), session_.number, {});
    return {};
  }

  // "The user-signing key is used to sign other users' master keys", and nobody else is told.
  Status take_other(const std::string& user, const std::string& name, const json::Object& given) {
    POLDER_TRY(const UserId other, UserId::parse(user));
    POLDER_CHECK(e2ee::check_cross_signing_key(other, "master", given));
    POLDER_TRY(const auto number, parts_.names.find(stores::NameKind::kUser, user));
    if (!number || e2ee::name_of_cross_signing_key(given) != name) return unknown();
    if (other.server() == parts_.own_name.view()) {
      POLDER_TRY(const auto text, stores::read_cross_signing_key(snapshot_, *number, "master"));
      const auto master = text ? e2ee::stored_key(*text) : std::nullopt;
      if (!master || !same_but_signatures(*master, given)) return unknown();
    }
    POLDER_TRY(const PublicKeys signers, stored_.keys_of("user_signing"));
    json::Object taken;
    POLDER_CHECK(add_signatures(taken, given, session_.user, signers, Unknown::kRefuse));
    const std::string text = json::write(*taken.find_object("signatures"));
    POLDER_TRY(const auto before,
               stores::read_signature_of_other(snapshot_, session_.number, other));
    if (before == text) return {};
    stores::put_signature_of_other(batch_, session_.number, other, text);
    stores::put_signed_other(batch_, batch_.reserve_position(), session_.number, *number);
    return {};
  }

  const Parts& parts_;
  const kv::Snapshot& snapshot_;
  const Session& session_;
  const StoredKeys stored_;
  kv::Batch& batch_;
};

// Whether the request is to blame, not the disk.
bool is_refusal(const Error& error) {
  return error.code == ErrorCode::kBadSignature || error.code == ErrorCode::kNotFound ||
         error.code == ErrorCode::kInvalid || error.code == ErrorCode::kTooLarge;
}

Status check_signature_upload(const json::Object& body) {
  size_t count = 0;
  for (const auto& [user, keys] : body) {
    if (keys.as_object() == nullptr)
      return fail(ErrorCode::kInvalid, "signatures must be by user and key");
    count += keys.as_object()->size();
    for (const auto& [name, signed_object] : *keys.as_object()) {
      if (signed_object.as_object() == nullptr)
        return fail(ErrorCode::kInvalid, "a signed object must be an object");
    }
  }
  if (count > kSignedKeysMax) return fail(ErrorCode::kTooLarge, "too many signed keys at once");
  return {};
}

}  // namespace

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload
Task<Result<CrossSigning>> DeviceKeys::upload_cross_signing(Session session, json::Object body,
                                                            bool confirmed) {
  for (const auto& [name, usage] : kUsages) {
    const json::Value* key = body.find(name);
    if (key == nullptr) continue;
    if (key->as_object() == nullptr)
      co_return fail(ErrorCode::kInvalid, std::string(name).append(" must be an object"));
    POLDER_CO_CHECK(e2ee::check_cross_signing_key(session.user, usage, *key->as_object()));
    if (json::write(*key->as_object()).size() > kDeviceKeysBytesMax)
      co_return fail(ErrorCode::kTooLarge, "a cross-signing key is too large");
  }
  auto shared = std::make_shared<const json::Object>(std::move(body));
  auto outcome = std::make_shared<CrossSigning>();
  POLDER_CO_CHECK(
      co_await turns_.change_of(session,
                                [session, shared, outcome, confirmed](const kv::Snapshot& snapshot,
                                                                      kv::Batch& batch) -> Status {
                                  CrossSigningUpload upload(snapshot, session, *shared);
                                  POLDER_TRY(*outcome, upload.check());
                                  if (*outcome == CrossSigning::kUnconfirmed && confirmed)
                                    *outcome = CrossSigning::kStored;
                                  if (*outcome == CrossSigning::kStored) upload.write(batch);
                                  return {};
                                }));
  co_return *outcome;
}

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keyssignaturesupload
Task<Result<std::vector<RefusedSignature>>> DeviceKeys::upload_signatures(Session session,
                                                                          json::Object body) {
  POLDER_CO_CHECK(check_signature_upload(body));
  auto shared = std::make_shared<const json::Object>(std::move(body));
  auto refused = std::make_shared<std::vector<RefusedSignature>>();
  DeviceKeys* self = this;
  POLDER_CO_CHECK(co_await turns_.change_of(
      session,
      [self, session, shared, refused](const kv::Snapshot& snapshot, kv::Batch& batch) -> Status {
        SignatureUpload upload(self->parts_, snapshot, session, batch);
        for (const auto& [user, keys] : *shared) {
          for (const auto& [name, signed_object] : *keys.as_object()) {
            const Status taken = upload.take(user, name, *signed_object.as_object());
            if (taken.ok()) continue;
            if (!is_refusal(taken.error())) return taken;
            refused->push_back({user, name, taken.error()});
          }
        }
        return {};
      }));
  co_return std::move(*refused);
}

}  // namespace polder::users
