#include "federation/client/client.h"

#include "federation/client/answers.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/runtime/simulated.h"
#include "homeserver/base/runtime/testing/outcome.h"
#include "homeserver/base/values/bytes.h"
#include "homeserver/protocol/events/signing.h"

namespace polder::client {
namespace {

const ServerName kOwn = ServerName::trusted("own.example");
const ServerName kOther = ServerName::trusted("other.example");
const RoomId kRoom = RoomId::trusted("!r:other.example");
const UserId kAlice = UserId::trusted("@alice:own.example");
const UserId kBob = UserId::trusted("@bob:other.example");
const std::string kHashId = "$" + std::string(43, 'A');

class FakeServers final : public transport::Servers {
 public:
  std::vector<transport::Call> calls;
  std::map<std::string, Result<http::ClientResponse>> answers;  // by path
  void answer(const std::string& path, std::string body, const std::string& type = "") {
    http::ClientResponse response;
    response.status = 200;
    response.body = std::move(body);
    if (!type.empty()) response.headers.add("Content-Type", type);
    answers.insert_or_assign(path, response);
  }
  Task<Result<http::ClientResponse>> call(ServerName, transport::Call call) override {
    calls.push_back(call);
    const auto found = answers.find(call.path);
    if (found == answers.end()) co_return fail(ErrorCode::kUnsupported, "M_UNRECOGNIZED: ?");
    co_return found->second;
  }
  Millis back_off(const ServerName&) const override { return Millis(0); }
  void heard_from(const ServerName&) override {}
};

class ClientTest : public testing::Test {
 protected:
  template <class T>
  T run(Task<T> task) {
    return runtime::outcome(*simulation_, *runtime_, std::move(task));
  }
  static json::Object object(const char* text) { return *json::parse_object(text); }
  json::Object template_of(std::string_view version) const {
    json::Object event{{"type", "m.room.member"},
                       {"sender", kAlice.str()},
                       {"state_key", kAlice.str()},
                       {"room_id", kRoom.str()},
                       {"depth", 7},
                       {"origin_server_ts", 1},
                       {"evil", "x"},
                       {"content", json::object({{"membership", "join"}, {"displayname", "Eve"}})},
                       {"prev_events", json::Array{kHashId}},
                       {"auth_events", json::Array{kHashId}}};
    return {{"room_version", std::string(version)}, {"event", std::move(event)}};
  }
  const TemplateRequest requested_{kRoom, kAlice, "join"};
  events::EventPtr membership(std::string_view version, std::string_view what) {
    json::Object answer = template_of(version);
    if (version == "1") {
      for (const char* name : {"prev_events", "auth_events"}) {
        json::Array references;
        references.emplace_back(json::Array{"$x:other.example", json::object({})});
        answer.find("event")->as_object()->set(name, std::move(references));
      }
    }
    return *build_membership(*read_template(answer, requested_),
                             {kRoom, kAlice, std::string(what), {}, 5}, kOwn, key_,
                             runtime_->random());
  }

  std::unique_ptr<runtime::Simulation> simulation_ = runtime::Simulation::create(1);
  std::unique_ptr<runtime::Runtime> runtime_ = simulation_->add_runtime("a");
  const crypto::SigningKey key_ = std::move(*crypto::SigningKey::from_seed(
      KeyId::trusted("ed25519:1"), base::base64_encode(as_bytes(std::string(32, '1')))));
  FakeServers servers_;
  FederationClient client_{servers_};
};

// CVE-2026-24471: a template that is signed as it came signs any event that its maker likes.
TEST_F(ClientTest, ATemplateIsNeverSignedAsItCame) {
  const auto place = read_template(template_of("10"), requested_);
  ASSERT_TRUE(place.ok()) << place.error().message;
  MembershipEvent wanted{kRoom, kAlice, "join", {}, 42};
  wanted.content.set("displayname", "Alice");
  wanted.content.set("join_authorised_via_users_server", kAlice.str());
  const auto event = build_membership(*place, wanted, kOwn, key_, runtime_->random());
  ASSERT_TRUE(event.ok()) << event.error().message;
  const events::Event& built = **event;
  EXPECT_TRUE(built.is_state("m.room.member", kAlice.view()));
  EXPECT_EQ(built.sender(), kAlice);
  EXPECT_EQ(built.room_id(), kRoom);
  EXPECT_EQ(built.content(), (json::Object{{"membership", "join"}, {"displayname", "Alice"}}));
  EXPECT_EQ(built.origin_server_ts(), 42);
  EXPECT_EQ(built.depth(), 7);
  ASSERT_EQ(built.prev_events().size(), 1u);
  EXPECT_EQ(built.prev_events()[0].view(), kHashId);
  EXPECT_TRUE(events::content_hash_matches(built.object()));
  EXPECT_EQ(events::signatures_of(built.object()).size(), 1u);
}

TEST_F(ClientTest, ARestrictedJoinNamesItsAuthoriserUnlessItIsOfThisServer) {
  json::Object answer = template_of("10");
  json::Object& content = *answer.find("event")->as_object()->find("content")->as_object();
  content.set("join_authorised_via_users_server", kBob.str());
  const MembershipEvent join{kRoom, kAlice, "join", {}, 42};
  auto event =
      build_membership(*read_template(answer, requested_), join, kOwn, key_, runtime_->random());
  ASSERT_TRUE(event.ok());
  EXPECT_EQ(*(*event)->content().find_string("join_authorised_via_users_server"), kBob.str());
  content.set("join_authorised_via_users_server", "@root:own.example");
  EXPECT_FALSE(
      build_membership(*read_template(answer, requested_), join, kOwn, key_, runtime_->random())
          .ok());
  content.set("join_authorised_via_users_server", "nobody");
  EXPECT_FALSE(read_template(answer, requested_).ok());
  EXPECT_FALSE(build_membership(*read_template(template_of("10"), requested_),
                                {kRoom, kBob, "join", {}, 42}, kOwn, key_, runtime_->random())
                   .ok());
}

TEST_F(ClientTest, ATemplateOfSomethingElseIsRefused) {
  const auto with = [&](const char* name, json::Value value) {
    json::Object answer = template_of("10");
    answer.find("event")->as_object()->set(name, std::move(value));
    const auto place = read_template(answer, requested_);
    return place.ok() ? std::string("taken") : std::string(to_string(place.error().code));
  };
  const std::string refused(to_string(ErrorCode::kInvalid));
  EXPECT_EQ(with("room_id", kRoom.str()), "taken");
  EXPECT_EQ(with("room_id", "!evil:other.example"), refused);
  EXPECT_EQ(with("type", "m.room.power_levels"), refused);
  EXPECT_EQ(with("sender", kBob.str()), refused);
  EXPECT_EQ(with("state_key", kBob.str()), refused);
  EXPECT_EQ(with("content", json::object({{"membership", "leave"}})), refused);
  EXPECT_EQ(with("content", json::object({})), refused);
  EXPECT_EQ(with("content", "join"), refused);
}

TEST_F(ClientTest, BrokenTemplatesAreRefused) {
  EXPECT_EQ(read_template(template_of("99"), requested_).error().code, ErrorCode::kUnsupported);
  EXPECT_FALSE(read_template({}, requested_).ok());
  const auto with = [&](const char* name, json::Value value) {
    json::Object answer = template_of("10");
    answer.find("event")->as_object()->set(name, std::move(value));
    return read_template(answer, requested_).ok();
  };
  EXPECT_TRUE(with("depth", 1));
  EXPECT_FALSE(with("depth", -1));
  EXPECT_FALSE(with("depth", "1"));
  EXPECT_FALSE(with("prev_events", json::Array{}));
  EXPECT_FALSE(with("prev_events", json::Array(21, json::Value(kHashId))));
  EXPECT_FALSE(with("auth_events", json::Array(11, json::Value(kHashId))));
  EXPECT_FALSE(with("auth_events", json::Array{json::Value(1)}));
}

TEST_F(ClientTest, MakeJoinOffersEveryKnownVersion) {
  servers_.answer("/_matrix/federation/v1/make_join/%21r%3Aother.example/%40alice%3Aown.example",
                  json::write(template_of("12")));
  EXPECT_TRUE(run(client_.make_join(kOther, kRoom, kAlice)).ok());
  EXPECT_EQ(servers_.calls[0].query.size(), events::room_versions().size());
  EXPECT_FALSE(run(client_.make_knock(kOther, kRoom, kAlice)).ok());
  EXPECT_EQ(servers_.calls[1].query.front().second, "7");
}

TEST_F(ClientTest, SendJoinGivesStateInPieces) {
  const auto join = membership("10", "join");
  const std::string path =
      transport::path_of("/_matrix/federation/v2/send_join", {kRoom.view(), join->id().view()});
  servers_.answer(path, R"({"state":[{"a":1},{"b":2}],"auth_chain":[{"c":3}],"event":{"d":4},
                            "members_omitted":true,"servers_in_room":["x.example","not a name"]})");
  const auto joined = run(client_.send_join(kOther, join, true));
  ASSERT_TRUE(joined.ok()) << joined.error().message;
  EXPECT_EQ(joined->state.state, (std::vector<std::string>{R"({"a":1})", R"({"b":2})"}));
  EXPECT_EQ(joined->state.auth_chain.size(), 1u);
  EXPECT_EQ(joined->event, R"({"d":4})");
  EXPECT_TRUE(joined->members_omitted);
  EXPECT_EQ(joined->servers_in_room.size(), 1u);
  EXPECT_EQ(servers_.calls[0].body, join->json());
  for (const char* body : {"{}", "[]", R"({"state":{},"auth_chain":[]})", R"({"state":[]})"}) {
    servers_.answer(path, body);
    EXPECT_FALSE(run(client_.send_join(kOther, join, false)).ok()) << body;
  }
}

// What is told takes memory for as long as it is worked on.
TEST_F(ClientTest, AToldStateIsCountedAsLongAsItIsHeld) {
  const auto join = membership("10", "join");
  const auto answer_counted = [&](const std::string& path, const std::string& body) {
    const auto counted = std::make_shared<int>();
    servers_.answer(path, body);
    servers_.answers.at(path)->held = counted;
    return std::weak_ptr<const int>(counted);
  };
  const auto of_state =
      answer_counted(transport::path_of("/_matrix/federation/v1/state", {kRoom.view()}),
                     R"({"pdus":[{"a":1}],"auth_chain":[]})");
  const auto of_join = answer_counted(
      transport::path_of("/_matrix/federation/v2/send_join", {kRoom.view(), join->id().view()}),
      R"({"state":[{"a":1}],"auth_chain":[]})");
  {
    const auto told = run(client_.state(kOther, kRoom, join->id()));
    const auto joined = run(client_.send_join(kOther, join, false));
    ASSERT_TRUE(told.ok() && joined.ok());
    servers_.answers.clear();
    EXPECT_FALSE(of_state.expired());
    EXPECT_FALSE(of_join.expired());
  }
  EXPECT_TRUE(of_state.expired());
  EXPECT_TRUE(of_join.expired());
}

TEST_F(ClientTest, AnInvitedServerMayAddItsSignatureOnly) {
  const auto invite = membership("10", "join");
  const std::string path =
      transport::path_of("/_matrix/federation/v2/invite", {kRoom.view(), invite->id().view()});
  json::Object answer{{"event", invite->object()}};
  events::sign_event(*answer.find("event")->as_object(), invite->rules(), kOther, key_);
  servers_.answer(path, json::write(answer));
  const auto back = run(client_.invite(kOther, invite, {}));
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(events::signatures_of((*back)->object()).size(), 2u);
  answer.find("event")->as_object()->find("content")->as_object()->set("membership", "ban");
  servers_.answer(path, json::write(answer));
  EXPECT_FALSE(run(client_.invite(kOther, invite, {})).ok());
  servers_.answers.clear();
  EXPECT_EQ(run(client_.invite(kOther, invite, {})).error().code, ErrorCode::kUnsupported);
}

TEST_F(ClientTest, OldServersAreInvitedTheOldWay) {
  const auto invite = membership("1", "join");
  const std::string path =
      transport::path_of("/_matrix/federation/v1/invite", {kRoom.view(), invite->id().view()});
  servers_.answer(path, "[200," + json::write(json::Object{{"event", invite->object()}}) + "]");
  json::Array state(300, json::object({{"type", std::string(3000, 'x')}}));
  const auto back = run(client_.invite(kOther, invite, std::move(state)));
  ASSERT_TRUE(back.ok()) << back.error().message;
  ASSERT_EQ(servers_.calls.size(), 2u);
  EXPECT_LT(servers_.calls[0].body->size(), 400u * 1024);  // CVE-2023-32323
}

TEST_F(ClientTest, EventsAreBounded) {
  const std::string path = "/_matrix/federation/v1/backfill/%21r%3Aother.example";
  servers_.answer(path, R"({"pdus":[{"a":1},{"a":2},{"a":3}]})");
  const auto page = run(client_.backfill(kOther, kRoom, {EventId::trusted(kHashId)}, 2));
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->size(), 2u);
  servers_.answer(path, "{\"pdus\":[{\"a\":\"" + std::string(400'000, 'x') + "\"}]}");
  EXPECT_TRUE(run(client_.backfill(kOther, kRoom, {EventId::trusted(kHashId)}, 2))->empty());
  servers_.answer(path, R"({"pdus":1})");
  EXPECT_FALSE(run(client_.backfill(kOther, kRoom, {EventId::trusted(kHashId)}, 2)).ok());
  servers_.answer("/_matrix/federation/v1/state_ids/%21r%3Aother.example",
                  "{\"pdu_ids\":[\"$a\"],\"auth_chain_ids\":[1]}");
  EXPECT_FALSE(run(client_.state_ids(kOther, kRoom, EventId::trusted("$x"))).ok());
  servers_.answer("/_matrix/federation/v1/event/%24x", R"({"pdus":[]})");
  EXPECT_EQ(run(client_.event(kOther, EventId::trusted("$x"))).error().code, ErrorCode::kNotFound);
}

TEST_F(ClientTest, KeysOfOthersThanTheAskedAreDropped) {
  servers_.answer("/_matrix/federation/v1/user/keys/query",
                  R"({"device_keys":{"@bob:other.example":{},"@eve:other.example":{},
                      "@alice:own.example":{}},"master_keys":{"@bob:other.example":1},"x":{}})");
  const auto found =
      run(client_.query_keys(kOther, {{kBob.str(), json::Array{}}, {kAlice.str(), json::Array{}}}));
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(json::write(*found), R"({"device_keys":{"@bob:other.example":{}},"master_keys":{}})");
}

TEST_F(ClientTest, DevicesMustBeOfTheirUser) {
  const std::string path = "/_matrix/federation/v1/user/devices/%40bob%3Aother.example";
  servers_.answer(path, R"({"user_id":"@bob:other.example","stream_id":5,"devices":[
      {"device_id":"A","keys":{"user_id":"@bob:other.example","device_id":"A"},
       "device_display_name":"phone"},
      {"device_id":"B","keys":{"user_id":"@bob:other.example","device_id":"A"}},
      {"device_id":"C","keys":{"user_id":"@alice:own.example","device_id":"C"}}, 1],
      "master_key":{"user_id":"@bob:other.example"},
      "self_signing_key":{"user_id":"@alice:own.example"}})");
  const auto found = run(client_.user_devices(kOther, kBob));
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->devices.size(), 1u);
  EXPECT_EQ(found->devices[0].name, "phone");
  EXPECT_TRUE(found->master_key.has_value());
  EXPECT_FALSE(found->self_signing_key.has_value());
  servers_.answer(path, R"({"user_id":"@eve:other.example","stream_id":5,"devices":[]})");
  EXPECT_FALSE(run(client_.user_devices(kOther, kBob)).ok());
}

TEST_F(ClientTest, DirectoryAndProfileHaveTheirTypes) {
  servers_.answer("/_matrix/federation/v1/query/directory",
                  R"({"room_id":"!r:other.example","servers":["a.example",1,"b c"]})");
  const auto address = run(client_.directory(kOther, RoomAlias::trusted("#a:other.example")));
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(address->room, kRoom);
  EXPECT_EQ(address->servers.size(), 1u);
  servers_.answer("/_matrix/federation/v1/query/profile", R"({"displayname":1,"avatar_url":"x"})");
  EXPECT_EQ(json::write(*run(client_.profile(kOther, kBob, {}))), R"({"avatar_url":"x"})");
}

TEST_F(ClientTest, MediaIsTheSecondPart) {
  const std::string path = "/_matrix/federation/v1/media/download/abc";
  const std::string type = "multipart/mixed; boundary=b";
  servers_.answer(path, "--b\r\n\r\n{}\r\n--b\r\nContent-Type: image/png\r\n\r\nPNG\r\n--b--",
                  type);
  const auto media = run(client_.media(kOther, "abc", Millis(1000), 100));
  ASSERT_TRUE(media.ok()) << media.error().message;
  EXPECT_EQ(media->content_type, "image/png");
  EXPECT_EQ(media->bytes, "PNG");
  EXPECT_LT(servers_.calls[0].body_max, 100'000u);
  servers_.answer(path, "--b\r\n\r\n{}\r\n--b\r\nLocation: https://cdn.example/x\r\n\r\n\r\n--b--",
                  type);
  EXPECT_EQ(run(client_.media(kOther, "abc", Millis(1000), 100))->location,
            "https://cdn.example/x");
  for (const char* body : {"", "--b\r\n\r\n{}\r\n--b--", "--b\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--"}) {
    servers_.answer(path, body, type);
    EXPECT_FALSE(run(client_.media(kOther, "abc", Millis(1000), 100)).ok()) << body;
  }
}

TEST_F(ClientTest, OldServersAreAskedForMediaTheOldWay) {
  servers_.answer("/_matrix/media/v3/download/other.example/abc", "PNG", "image/png");
  const auto media = run(client_.media(kOther, "abc", Millis(1000), 100));
  ASSERT_TRUE(media.ok()) << media.error().message;
  EXPECT_EQ(media->content_type, "image/png");
  EXPECT_EQ(media->bytes, "PNG");
  ASSERT_EQ(servers_.calls.size(), 2u);
  EXPECT_FALSE(servers_.calls[1].authenticated);
  EXPECT_EQ(servers_.calls[1].query.at(0),
            std::pair(std::string("allow_remote"), std::string("false")));
  servers_.answers.insert_or_assign("/_matrix/federation/v1/media/download/abc",
                                    fail(ErrorCode::kNotFound, "M_NOT_FOUND: ?"));
  EXPECT_EQ(run(client_.media(kOther, "abc", Millis(1000), 100)).error().code,
            ErrorCode::kNotFound);
}

}  // namespace
}  // namespace polder::client
