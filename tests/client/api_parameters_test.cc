// What is given wrongly is refused, whichever operation it is given to.
#include <gtest/gtest.h>

#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

constexpr std::string_view kClient = "/_matrix/client/";

class ParametersTest : public HomeserverTest {
 protected:
  ParametersTest() {
    alice_ = join_token("alice");
    const std::string bob = join_token("bob");
    room_ = create_room(alice_, R"({"preset":"public_chat"})");
    EXPECT_EQ(call("POST", "/_matrix/client/v3/join/" + room_, bob, "{}").status, 200);
    event_ = say(alice_, room_, "text", "t").text({"event_id"});
    device_ = call("GET", "/_matrix/client/v3/account/whoami", alice_).text({"device_id"});
    const std::string rule = R"({"pattern":"cake","actions":["notify"]})";
    EXPECT_EQ(call("PUT", fill("v3/pushrules/global/content/cake"), alice_, rule).status, 200);
  }

  // A path of the client-server API, with what stands in braces put in.
  std::string fill(std::string target) const {
    const std::vector<std::pair<std::string, std::string>> values = {
        {"{R}", room_},   {"{E}", event_},     {"{U}", "@alice:own"},
        {"{D}", device_}, {"{B}", "@bob:own"}, {"{S}", "s1_0"}};
    for (const auto& [name, value] : values) {
      for (size_t at; (at = target.find(name)) != std::string::npos;)
        target.replace(at, name.size(), value);
    }
    return target.starts_with('/') ? target : std::string(kClient) + target;
  }

  std::string alice_, room_, event_, device_;
};

// --- Queries ---

struct QueryCase {
  std::string_view operation;
  std::string target;  // up to the value
  std::string bad;
  std::string_view errcode = "M_INVALID_PARAM";
};

TEST_F(ParametersTest, EachOfTheQueryIsReadOrRefused) {
  const std::vector<QueryCase> cases = {
      {"getRoomEvents", "v3/rooms/{R}/messages?dir=", "x"},
      {"getRoomEvents", "v3/rooms/{R}/messages?dir=", "", "M_INVALID_PARAM"},
      {"getRoomEvents", "v3/rooms/{R}/messages?limit=", "5", "M_MISSING_PARAM"},
      {"getRoomEvents", "v3/rooms/{R}/messages?dir=b&limit=", "ten"},
      {"getRoomEvents", "v3/rooms/{R}/messages?dir=b&limit=", "-1"},
      {"getRoomEvents", "v3/rooms/{R}/messages?dir=b&limit=", "1.5"},
      {"getRoomEvents", "v3/rooms/{R}/messages?dir=b&from=", "garbage"},
      {"getRoomEvents", "v3/rooms/{R}/messages?dir=b&filter=", "garbage"},
      {"getRoomEvents", "v3/rooms/{R}/messages?dir=b&filter=", "[]"},
      {"getRoomEvents", "v3/rooms/{R}/messages?dir=b&filter=", R"({"lazy_load_members":"true"})",
       "M_BAD_JSON"},
      {"getEventContext", "v3/rooms/{R}/context/{E}?limit=", "ten"},
      {"getEventContext", "v3/rooms/{R}/context/{E}?filter=", "garbage"},
      {"getRelatingEvents", "v1/rooms/{R}/relations/{E}?dir=", "x"},
      {"getRelatingEvents", "v1/rooms/{R}/relations/{E}?limit=", "ten"},
      {"getRelatingEvents", "v1/rooms/{R}/relations/{E}?from=", "garbage"},
      {"getThreadRoots", "v1/rooms/{R}/threads?include=", "some"},
      {"getThreadRoots", "v1/rooms/{R}/threads?limit=", "ten"},
      {"getThreadRoots", "v1/rooms/{R}/threads?from=", "garbage"},
      {"getEventByTimestamp", "v1/rooms/{R}/timestamp_to_event?dir=f&ts=", "now"},
      {"getEventByTimestamp", "v1/rooms/{R}/timestamp_to_event?dir=f&ts=", "1.5"},
      {"getEventByTimestamp", "v1/rooms/{R}/timestamp_to_event?ts=1&dir=", "x"},
      {"getEventByTimestamp", "v1/rooms/{R}/timestamp_to_event?dir=", "f", "M_MISSING_PARAM"},
      {"getEventByTimestamp", "v1/rooms/{R}/timestamp_to_event?ts=", "1", "M_MISSING_PARAM"},
      {"getRoomStateWithKey", "v3/rooms/{R}/state/m.room.create?format=", "x"},
      {"getMembersByRoom", "v3/rooms/{R}/members?membership=", "x"},
      {"getMembersByRoom", "v3/rooms/{R}/members?not_membership=", "x"},
      {"getMembersByRoom", "v3/rooms/{R}/members?at=", "garbage"},
      {"getKeysChanges", "v3/keys/changes?from={S}&to=", "garbage"},
      {"getKeysChanges", "v3/keys/changes?to={S}&from=", "garbage"},
      {"getKeysChanges", "v3/keys/changes?from=", "s1_0", "M_MISSING_PARAM"},
      {"sync", "v3/sync?timeout=", "soon"},
      {"sync", "v3/sync?timeout=", "-1"},
      {"sync", "v3/sync?full_state=", "yes"},
      {"sync", "v3/sync?use_state_after=", "1"},
      {"sync", "v3/sync?set_presence=", "away"},
      {"sync", "v3/sync?filter=", "{garbage"},
      {"sync", "v3/sync?filter=", "no-such-filter"},
      {"register", "v3/register?kind=", "robot"},
      {"checkUsernameAvailability", "v3/register/available?username=", "", "M_MISSING_PARAM"},
      {"registrationTokenValidity", "v1/register/m.login.registration_token/validity?token=", "",
       "M_MISSING_PARAM"},
      {"joinRoom", "v3/join/{R}?via=", "not a server"},
      {"knockRoom", "v3/knock/{R}?via=", "not a server"},
      {"setPushRule", "v3/pushrules/global/content/cake?before=", "none", "M_UNKNOWN"},
      {"setPushRule", "v3/pushrules/global/content/cake?after=", "none", "M_UNKNOWN"},
      {"getContentAuthed", "v1/media/download/own/abc?timeout_ms=", "soon"},
      {"getContentAuthed", "v1/media/download/own/abc?allow_remote=", "yes"},
  };
  for (const QueryCase& item : cases) {
    const std::string target = fill(item.target) + base::percent_encode(item.bad);
    const http::Route* route = nullptr;
    for (const http::Route* row : homeserver_->router().routes()) {
      if (row->operation == item.operation) route = row;
    }
    ASSERT_NE(route, nullptr) << item.operation;
    const std::string body = route->body_max == 0 ? "" : R"({"actions":["notify"],"pattern":"x"})";
    const Answer answer = call(std::string(http::to_string(route->method)), target, alice_, body);
    EXPECT_EQ(answer.status, 400) << item.operation << " " << target;
    EXPECT_EQ(answer.text({"errcode"}), item.errcode) << item.operation << " " << target;
  }
}

// --- Bodies ---

struct BodyCase {
  std::string_view operation;
  std::string method, target, body;  // which is right
  std::string_view field;
  std::string_view type;
};

// Values of other types than one.
std::vector<std::string> others_than(std::string_view type) {
  std::vector<std::string> values;
  const std::vector<std::pair<std::string_view, std::string>> all = {
      {"string", R"("5")"}, {"integer", "5"}, {"boolean", "true"},
      {"list", "[]"},       {"object", "{}"}, {"number", "0.5"},
  };
  for (const auto& [of, value] : all) {
    if (of != type) values.push_back(value);
  }
  return values;
}

TEST_F(ParametersTest, AFieldOfAnotherTypeIsNeverTakenAsAbsent) {
  const std::string login = R"({"type":"m.login.password","user":"alice","password":"pw"})";
  const std::string target = R"({"user_id":"@bob:own"})";
  const std::vector<BodyCase> cases = {
      {"login", "POST", "v3/login", login, "type", "string"},
      {"login", "POST", "v3/login", login, "user", "string"},
      {"login", "POST", "v3/login", login, "identifier", "object"},
      {"login", "POST", "v3/login", login, "password", "string"},
      {"login", "POST", "v3/login", login, "device_id", "string"},
      {"login", "POST", "v3/login", login, "initial_device_display_name", "string"},
      {"login", "POST", "v3/login", login, "refresh_token", "boolean"},
      {"register", "POST", "v3/register", "{}", "username", "string"},
      {"register", "POST", "v3/register", "{}", "password", "string"},
      {"register", "POST", "v3/register", "{}", "auth", "object"},
      {"register", "POST", "v3/register", "{}", "refresh_token", "boolean"},
      {"register", "POST", "v3/register", R"({"auth":{"type":"m.login.dummy"}})", "inhibit_login",
       "boolean"},
      {"register", "POST", "v3/register", R"({"auth":{"type":"m.login.dummy"}})", "device_id",
       "string"},
      {"register", "POST", "v3/register", R"({"auth":{"type":"m.login.dummy"}})",
       "initial_device_display_name", "string"},
      {"changePassword", "POST", "v3/account/password", "{}", "auth", "object"},
      {"changePassword", "POST", "v3/account/password", "{}", "logout_devices", "boolean"},
      {"deactivateAccount", "POST", "v3/account/deactivate", "{}", "auth", "object"},
      {"deactivateAccount", "POST", "v3/account/deactivate", "{}", "erase", "boolean"},
      {"deactivateAccount", "POST", "v3/account/deactivate", "{}", "id_server", "string"},
      {"updateDevice", "PUT", "v3/devices/{D}", "{}", "display_name", "string"},
      {"deleteDevice", "DELETE", "v3/devices/{D}", "{}", "auth", "object"},
      {"deleteDevices", "POST", "v3/delete_devices", R"({"devices":[]})", "devices", "list"},
      {"deleteDevices", "POST", "v3/delete_devices", R"({"devices":[]})", "auth", "object"},
      {"setProfileField", "PUT", "v3/profile/{U}/displayname", "{}", "displayname", "string"},
      {"setProfileField", "PUT", "v3/profile/{U}/avatar_url", "{}", "avatar_url", "string"},
      {"createRoom", "POST", "v3/createRoom", "{}", "visibility", "string"},
      {"createRoom", "POST", "v3/createRoom", "{}", "preset", "string"},
      {"createRoom", "POST", "v3/createRoom", "{}", "room_alias_name", "string"},
      {"createRoom", "POST", "v3/createRoom", "{}", "name", "string"},
      {"createRoom", "POST", "v3/createRoom", "{}", "topic", "string"},
      {"createRoom", "POST", "v3/createRoom", "{}", "room_version", "string"},
      {"createRoom", "POST", "v3/createRoom", "{}", "invite", "list"},
      {"createRoom", "POST", "v3/createRoom", "{}", "invite_3pid", "list"},
      {"createRoom", "POST", "v3/createRoom", "{}", "initial_state", "list"},
      {"createRoom", "POST", "v3/createRoom", "{}", "creation_content", "object"},
      {"createRoom", "POST", "v3/createRoom", "{}", "power_level_content_override", "object"},
      {"createRoom", "POST", "v3/createRoom", "{}", "is_direct", "boolean"},
      {"joinRoom", "POST", "v3/join/{R}", "{}", "reason", "string"},
      {"joinRoom", "POST", "v3/join/{R}", "{}", "third_party_signed", "object"},
      {"joinRoomById", "POST", "v3/rooms/{R}/join", "{}", "reason", "string"},
      {"knockRoom", "POST", "v3/knock/{R}", "{}", "reason", "string"},
      {"leaveRoom", "POST", "v3/rooms/{R}/leave", "{}", "reason", "string"},
      {"inviteUser", "POST", "v3/rooms/{R}/invite", target, "user_id", "string"},
      {"inviteUser", "POST", "v3/rooms/{R}/invite", target, "reason", "string"},
      {"kick", "POST", "v3/rooms/{R}/kick", target, "user_id", "string"},
      {"kick", "POST", "v3/rooms/{R}/kick", target, "reason", "string"},
      {"ban", "POST", "v3/rooms/{R}/ban", target, "user_id", "string"},
      {"ban", "POST", "v3/rooms/{R}/ban", target, "reason", "string"},
      {"unban", "POST", "v3/rooms/{R}/unban", target, "user_id", "string"},
      {"setRoomAlias", "PUT", "v3/directory/room/%23x:own", "{}", "room_id", "string"},
      {"redactEvent", "PUT", "v3/rooms/{R}/redact/{E}/r", "{}", "reason", "string"},
      {"setRoomStateWithKey", "PUT", "v3/rooms/{R}/state/m.room.canonical_alias", "{}", "alias",
       "string"},
      {"setRoomStateWithKey", "PUT", "v3/rooms/{R}/state/m.room.canonical_alias", "{}",
       "alt_aliases", "list"},
      {"postReceipt", "POST", "v3/rooms/{R}/receipt/m.read/{E}", "{}", "thread_id", "string"},
      {"setReadMarker", "POST", "v3/rooms/{R}/read_markers", "{}", "m.read", "string"},
      {"setReadMarker", "POST", "v3/rooms/{R}/read_markers", "{}", "m.read.private", "string"},
      {"setReadMarker", "POST", "v3/rooms/{R}/read_markers", "{}", "m.fully_read", "string"},
      {"setTyping", "PUT", "v3/rooms/{R}/typing/{U}", R"({"typing":true})", "typing", "boolean"},
      {"setTyping", "PUT", "v3/rooms/{R}/typing/{U}", R"({"typing":true})", "timeout", "integer"},
      {"setPushRuleEnabled", "PUT", "v3/pushrules/global/content/cake/enabled", "{}", "enabled",
       "boolean"},
      {"setPushRuleActions", "PUT", "v3/pushrules/global/content/cake/actions", "{}", "actions",
       "list"},
      {"queryKeys", "POST", "v3/keys/query", R"({"device_keys":{}})", "device_keys", "object"},
      {"queryKeys", "POST", "v3/keys/query", R"({"device_keys":{}})", "timeout", "integer"},
      {"claimKeys", "POST", "v3/keys/claim", R"({"one_time_keys":{}})", "one_time_keys", "object"},
      {"claimKeys", "POST", "v3/keys/claim", R"({"one_time_keys":{}})", "timeout", "integer"},
      {"uploadKeys", "POST", "v3/keys/upload", "{}", "device_keys", "object"},
      {"uploadKeys", "POST", "v3/keys/upload", "{}", "one_time_keys", "object"},
      {"uploadKeys", "POST", "v3/keys/upload", "{}", "fallback_keys", "object"},
      {"uploadCrossSigningKeys", "POST", "v3/keys/device_signing/upload", "{}", "master_key",
       "object"},
      {"uploadCrossSigningKeys", "POST", "v3/keys/device_signing/upload", "{}", "self_signing_key",
       "object"},
      {"uploadCrossSigningKeys", "POST", "v3/keys/device_signing/upload", "{}", "user_signing_key",
       "object"},
      {"sendToDevice", "PUT", "v3/sendToDevice/m.test/t", "{}", "messages", "object"},
  };
  for (const BodyCase& item : cases) {
    for (const std::string& value : others_than(item.type)) {
      json::Object body = *json::parse_object(item.body);
      body.set(std::string(item.field), *json::parse(value));
      const std::string text = json::write(body);
      const Answer answer = call(item.method, fill(item.target), alice_, text);
      EXPECT_EQ(answer.status, 400) << item.operation << " " << text;
      EXPECT_EQ(answer.text({"errcode"}), "M_BAD_JSON") << item.operation << " " << text;
    }
  }
}

// --- Whether there is a body ---

TEST_F(ParametersTest, EveryOperationHasAnId) {
  for (const http::Route* route : homeserver_->router().routes())
    EXPECT_FALSE(route->operation.empty()) << route->path;
}

TEST_F(ParametersTest, WhatIsNoObjectIsNoBody) {
  for (const http::Route* route : homeserver_->router().routes()) {
    if (!route->path.starts_with(kClient) || route->body_max == 0) continue;
    std::string target(route->path);
    for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
             {"{userId}", "@alice:own"}, {"{roomId}", room_}, {"{eventId}", event_}}) {
      if (const size_t at = target.find(name); at != std::string::npos)
        target.replace(at, name.size(), value);
    }
    for (size_t at; (at = target.find('{')) != std::string::npos;)
      target.replace(at, target.find('}') - at + 1, "x");
    const std::string method(http::to_string(route->method));
    EXPECT_EQ(call(method, target, alice_, "{").text({"errcode"}), "M_NOT_JSON") << target;
    EXPECT_EQ(call(method, target, alice_, "[]").text({"errcode"}), "M_BAD_JSON") << target;
    if (route->body != http::Body::kRequired) continue;
    const Answer none = call(method, target, alice_);
    EXPECT_EQ(none.status, 400) << target;
    EXPECT_EQ(none.text({"errcode"}), "M_NOT_JSON") << target;
  }
}

TEST_F(ParametersTest, AFilterIsReadToItsLastField) {
  const std::vector<std::string> bad = {
      R"({"event_fields":"x"})",
      R"({"event_format":5})",
      R"({"presence":[]})",
      R"({"account_data":{"limit":"ten"}})",
      R"({"room":5})",
      R"({"room":{"include_leave":"true"}})",
      R"({"room":{"rooms":"x"}})",
      R"({"room":{"timeline":{"limit":1.5}}})",
      R"({"room":{"timeline":{"unread_thread_notifications":"true"}}})",
      R"({"room":{"state":{"lazy_load_members":"true"}}})",
      R"({"room":{"state":{"include_redundant_members":1}}})",
      R"({"room":{"state":{"contains_url":"false"}}})",
      R"({"room":{"state":{"types":[5]}}})",
      R"({"room":{"state":{"not_types":{}}}})",
      R"({"room":{"ephemeral":{"senders":null}}})",
      R"({"room":{"account_data":{"not_senders":"@a:own"}}})",
  };
  for (const std::string& filter : bad) {
    const Answer stored = call("POST", fill("v3/user/{U}/filter"), alice_, filter);
    EXPECT_EQ(stored.status, 400) << filter;
    EXPECT_EQ(stored.text({"errcode"}), "M_BAD_JSON") << filter;
    EXPECT_EQ(sync(alice_, "", filter).status, 400) << filter;
  }
}

}  // namespace
}  // namespace polder::server
