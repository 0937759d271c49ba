#include "homeserver/users/keys/testing/device_keys.h"

namespace polder::users {
namespace {

class CrossSigningTest : public DeviceKeysTest {
 protected:
  CrossSigningTest() {
    EXPECT_TRUE(upload(alice_, {{"device_keys", device_keys_of(alice_.user, phone_)}}).ok());
  }

  Result<CrossSigning> upload_keys(json::Object body, bool confirmed = false) {
    return run(keys_->upload_cross_signing(alice_, std::move(body), confirmed));
  }
  // The errors of an upload of one signed key, by what was refused.
  std::vector<ErrorCode> sign(const UserId& user, const std::string& name, json::Object object) {
    const auto refused = run(keys_->upload_signatures(
        alice_, {{user.str(), json::object({{name, std::move(object)}})}}));
    std::vector<ErrorCode> codes;
    EXPECT_TRUE(refused.ok());
    for (const RefusedSignature& one : refused.ok() ? *refused : std::vector<RefusedSignature>()) {
      EXPECT_EQ(one.user, user.str());
      EXPECT_EQ(one.key, name);
      codes.push_back(one.error.code);
    }
    return codes;
  }
  json::Object asked(const UserId& asker, std::string_view list, const UserId& user) {
    const json::Object answer = *run(keys_->query(asker, {{user, {}}}));
    const json::Value* found = json::at(answer, {list, user.view()});
    return found != nullptr ? *found->as_object() : json::Object();
  }
  json::Object phone_as_told() {
    return *asked(alice_.user, "device_keys", alice_.user).find_object("PHONE");
  }
  static size_t signatures(const json::Object& object, const UserId& user) {
    const json::Value* by_key = json::at(object, {"signatures", user.view()});
    return by_key != nullptr ? by_key->as_object()->size() : 0;
  }
  static json::Object with_signature(json::Object object, const Session& by, const KeyId& key,
                                     json::Value signature) {
    object.set("signatures",
               json::object({{by.user.str(), json::object({{key.str(), std::move(signature)}})}}));
    return object;
  }

  Session alice_ = log_in("alice", "PHONE");
  crypto::SigningKey phone_ = signing_key("PHONE");
};

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload
TEST_F(CrossSigningTest, KeysThatReplaceOthersNeedConfirmation) {
  const CrossSigningKeys keys(alice_.user), others(alice_.user);
  EXPECT_EQ(*upload_keys(keys.upload()), CrossSigning::kStored);
  EXPECT_EQ(*upload_keys(keys.upload()), CrossSigning::kUnchanged);
  EXPECT_EQ(*upload_keys({{"self_signing_key", keys.self_signing_key()}}),
            CrossSigning::kUnchanged);
  const json::Object other_self_signing =
      signed_by(cross_signing_key(alice_.user, "self_signing", others.self_signing), alice_.user,
                keys.master);
  for (const json::Object& body : std::vector<json::Object>{
           others.upload(),
           {{"master_key", others.master_key()}},
           {{"master_key", keys.master_key()}, {"self_signing_key", other_self_signing}},
           {{"self_signing_key", other_self_signing}},
       }) {
    EXPECT_EQ(*upload_keys(body), CrossSigning::kUnconfirmed) << json::write(body);
  }
  EXPECT_EQ(asked(alice_.user, "self_signing_keys", alice_.user), keys.self_signing_key());
  EXPECT_EQ(*upload_keys({{"self_signing_key", other_self_signing}}, true), CrossSigning::kStored);
  EXPECT_EQ(asked(alice_.user, "self_signing_keys", alice_.user), other_self_signing);
}

TEST_F(CrossSigningTest, ANewKeyBesideOthersNeedsConfirmation) {
  const CrossSigningKeys keys(alice_.user);
  EXPECT_EQ(*upload_keys({{"master_key", keys.master_key()}}), CrossSigning::kStored);
  EXPECT_EQ(*upload_keys({{"user_signing_key", keys.user_signing_key()}}),
            CrossSigning::kUnconfirmed);
}

TEST_F(CrossSigningTest, KeysMustBeSignedByTheMasterKey) {
  const CrossSigningKeys keys(alice_.user), others(alice_.user);
  EXPECT_EQ(upload_keys({{"self_signing_key", keys.self_signing_key()}}).error().code,
            ErrorCode::kMissing);
  EXPECT_EQ(upload_keys({}).error().code, ErrorCode::kMissing);
  const json::Object bare = cross_signing_key(alice_.user, "self_signing", keys.self_signing);
  for (const json::Object& wrong : std::vector<json::Object>{
           bare,
           others.self_signing_key(),
           signed_by(bare, alice_.user, keys.self_signing),
           signed_by(bare, UserId::trusted("@bob:own.example"), keys.master),
           with_signature(bare, alice_, keys.master.id(), std::string(86, 'x')),
       }) {
    const json::Object body{{"master_key", keys.master_key()}, {"self_signing_key", wrong}};
    for (const bool confirmed : {false, true}) {
      EXPECT_EQ(upload_keys(body, confirmed).error().code, ErrorCode::kBadSignature)
          << json::write(body);
    }
  }
  EXPECT_TRUE(asked(alice_.user, "master_keys", alice_.user).empty());
  // "M_FORBIDDEN: the public key of one of the keys is the same as one of the user's device IDs."
  Session named = alice_;
  NewSession wanted;
  wanted.device = DeviceId::trusted(keys.master.verify_key().to_base64());
  ASSERT_TRUE(run(sessions_->log_in(alice_.user, wanted)).ok());
  EXPECT_EQ(upload_keys(keys.upload()).error().code, ErrorCode::kForbidden);
}

TEST_F(CrossSigningTest, TheMasterKeyKeepsOnlyWhatIsRightlySigned) {
  const CrossSigningKeys keys(alice_.user);
  const auto upload_master = [&](json::Object master) {
    return upload_keys({{"master_key", std::move(master)}});
  };
  const json::Object bare = keys.master_key();
  EXPECT_EQ(
      upload_master(with_signature(bare, alice_, phone_.id(), std::string(86, 'x'))).error().code,
      ErrorCode::kBadSignature);
  json::Object with_unknown = signed_by(bare, alice_.user, signing_key("UNKNOWN"));
  events::sign_json(with_unknown, alice_.user.view(), phone_);
  events::sign_json(with_unknown, "@mallory:b.example", phone_);
  EXPECT_EQ(*upload_master(with_unknown), CrossSigning::kStored);
  const json::Object kept = signed_by(bare, alice_.user, phone_);
  EXPECT_EQ(asked(alice_.user, "master_keys", alice_.user), kept);
  EXPECT_EQ(*upload_master(bare), CrossSigning::kUnchanged);
  EXPECT_EQ(asked(alice_.user, "master_keys", alice_.user), kept);
}

// What is no string would stop every server that is told of it from reading what it is told.
TEST_F(CrossSigningTest, OnlyRightSignaturesOfOwnKeysAreTaken) {
  const CrossSigningKeys keys = upload_signing_keys(alice_);
  const json::Object phone = phone_as_told();
  const json::Object bare_master = keys.master_key();
  const std::vector<json::Value> wrong = {std::string(86, 'x'),  "",     json::Number{"1e2"},
                                          json::Number{"1e400"}, 5,      json::Array(),
                                          json::Object(),        nullptr};
  for (const json::Value& value : wrong) {
    for (const KeyId& key : {phone_.id(), keys.self_signing.id(), keys.master.id(),
                             KeyId::trusted("ed25519:UNKNOWN"), KeyId::trusted("rsa:PHONE")}) {
      EXPECT_EQ(sign(alice_.user, "PHONE", with_signature(phone, alice_, key, value)),
                std::vector{ErrorCode::kBadSignature})
          << key << json::write(value);
      EXPECT_EQ(sign(alice_.user, std::string(keys.master.id().name()),
                     with_signature(bare_master, alice_, key, value)),
                std::vector{ErrorCode::kBadSignature})
          << key << json::write(value);
    }
  }
  json::Object unsigned_phone = phone;
  unsigned_phone.erase("signatures");
  EXPECT_EQ(sign(alice_.user, "PHONE", unsigned_phone), std::vector{ErrorCode::kBadSignature});
  json::Object another = phone;
  another.set("more", true);
  EXPECT_EQ(sign(alice_.user, "PHONE", signed_by(another, alice_.user, keys.self_signing)),
            std::vector{ErrorCode::kNotFound});
  EXPECT_EQ(sign(alice_.user, "OTHER", phone), std::vector{ErrorCode::kNotFound});
  EXPECT_EQ(phone_as_told(), phone);

  EXPECT_TRUE(sign(alice_.user, "PHONE", signed_by(phone, alice_.user, keys.self_signing)).empty());
  EXPECT_EQ(signatures(phone_as_told(), alice_.user), 2u);
  EXPECT_TRUE(sign(alice_.user, std::string(keys.master.id().name()),
                   signed_by(bare_master, alice_.user, phone_))
                  .empty());
  EXPECT_EQ(asked(alice_.user, "master_keys", alice_.user),
            signed_by(bare_master, alice_.user, phone_));
}

// Else the device is unverified for everybody after its client was started again.
TEST_F(CrossSigningTest, TheSameDeviceKeysAgainKeepTheirSignatures) {
  const CrossSigningKeys keys = upload_signing_keys(alice_);
  const json::Object bare = phone_as_told();
  EXPECT_TRUE(sign(alice_.user, "PHONE", signed_by(bare, alice_.user, keys.self_signing)).empty());
  const json::Object cross_signed = phone_as_told();
  const kv::Position before = committer_->visible();
  json::Object again = device_keys_of(alice_.user, phone_);
  ASSERT_TRUE(upload(alice_, {{"device_keys", again}}).ok());
  again = with_signature(again, alice_, keys.self_signing.id(), "forged");
  ASSERT_TRUE(upload(alice_, {{"device_keys", again}}).ok());
  EXPECT_EQ(phone_as_told(), cross_signed);
  EXPECT_TRUE(stores::read_device_list_log(*database_->snapshot(), before, committer_->visible(), 9)
                  ->empty());
  const crypto::SigningKey other = signing_key("PHONE");
  ASSERT_TRUE(upload(alice_, {{"device_keys", device_keys_of(alice_.user, other)}}).ok());
  EXPECT_EQ(signatures(phone_as_told(), alice_.user), 1u) << "other keys are signed by nobody";
}

TEST_F(CrossSigningTest, ASignatureOnAnotherUsersKeyIsTheSignersToSee) {
  const CrossSigningKeys mine = upload_signing_keys(alice_);
  const Session bob = log_in("bob", "TABLET");
  const CrossSigningKeys bobs = upload_signing_keys(bob);
  const std::string name(bobs.master.id().name());
  const json::Object bare = bobs.master_key();
  const kv::Position before = committer_->visible();
  const json::Object right = signed_by(bare, alice_.user, mine.user_signing);
  json::Object another = bare;
  another.set("more", 1);
  EXPECT_EQ(sign(bob.user, name, signed_by(bare, alice_.user, mine.self_signing)),
            std::vector{ErrorCode::kBadSignature});
  EXPECT_EQ(sign(bob.user, name,
                 with_signature(bare, alice_, mine.user_signing.id(), json::Number{"1e400"})),
            std::vector{ErrorCode::kBadSignature});
  EXPECT_EQ(sign(bob.user, name, bare), std::vector{ErrorCode::kBadSignature});
  EXPECT_EQ(sign(bob.user, "another", right), std::vector{ErrorCode::kNotFound});
  EXPECT_EQ(sign(bob.user, name, signed_by(another, alice_.user, mine.user_signing)),
            std::vector{ErrorCode::kNotFound});
  EXPECT_EQ(sign(UserId::trusted("@nobody:b.example"), name, right),
            std::vector{ErrorCode::kInvalid});
  const auto signed_others = [&] {
    return *stores::read_signed_others(*database_->snapshot(), alice_.number, before,
                                       committer_->visible());
  };
  EXPECT_TRUE(signed_others().empty());
  EXPECT_TRUE(sign(bob.user, name, right).empty());
  EXPECT_EQ(signed_others(), std::vector{bob.number});
  EXPECT_EQ(asked(alice_.user, "master_keys", bob.user), right);
  EXPECT_EQ(asked(bob.user, "master_keys", bob.user), bare);
  // Once is enough.
  EXPECT_TRUE(sign(bob.user, name, right).empty());
  EXPECT_EQ(signed_others().size(), 1u);
}

// Keys that were taken before there were these rules.
TEST_F(CrossSigningTest, WhatWasStoredOnceIsToldWithoutWhatBreaksTheRules) {
  const json::Object phone = phone_as_told();
  const auto stored = [&](json::Object keys) {
    kv::Batch batch;
    stores::put_device_keys(batch, alice_.number, alice_.device, json::write(keys));
    EXPECT_TRUE(run(committer_->commit(std::move(batch))).ok());
    const auto update = keys_->device_update(alice_.user, alice_.number, alice_.device);
    const json::Object* told = update->find_object("keys");
    return told != nullptr ? *told : json::Object();
  };
  json::Object bad = phone;
  json::Object& signatures =
      *bad.find("signatures")->as_object()->find(alice_.user.view())->as_object();
  signatures.set("ed25519:A", json::Number{"1e400"});
  EXPECT_EQ(stored(bad), phone);
  for (int i = 0; i < 1'000; ++i)
    signatures.set("ed25519:" + std::to_string(i), std::string(86, 'x'));
  EXPECT_EQ(stored(bad), phone);
  json::Object hopeless = phone;
  hopeless.set("number", json::Number{"0.5"});
  EXPECT_TRUE(stored(hopeless).empty());
  EXPECT_TRUE(asked(alice_.user, "device_keys", alice_.user).empty());
}

TEST_F(CrossSigningTest, WhatADeviceUploadsBesideItsEndDoesNotOutliveIt) {
  ASSERT_TRUE(run(sessions_->delete_devices(alice_.user, {alice_.device})).ok());
  EXPECT_EQ(upload(alice_, {{"device_keys", device_keys_of(alice_.user, phone_)}}).error().code,
            ErrorCode::kUnauthenticated);
  EXPECT_EQ(upload_keys(CrossSigningKeys(alice_.user).upload()).error().code,
            ErrorCode::kUnauthenticated);
  EXPECT_TRUE(stores::read_device_keys(*database_->snapshot(), alice_.number)->empty());
}

}  // namespace
}  // namespace polder::users
