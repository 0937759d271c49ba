#include <optional>
#include <string>

#include "homeserver/base/crypto/keys.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/dag/testing/authorise_cases.h"
#include "homeserver/protocol/events/signing.h"

namespace polder::dag {
namespace {

TEST(Authorise, Joins) {
  const TestEvent carol = joined(kCarol);
  check({
      {"creator after create", {}, after(joined(kAlice), "create"), "1:ok"},
      {"creator later", {}, joined(kAlice), "1:5.2.6 6:4.2.6 8:4.3.7 12:5.3.7"},
      {"other after create", {}, after(carol, "create"), "1:5.2.6 6:4.2.6 8:4.3.7 12:5.3.7"},
      {"for another",
       {join_rule("public")},
       member(kBob, kCarol, "join"),
       "1:5.2.2 6:4.2.2 8:4.3.2 12:5.3.2"},
      {"banned",
       {join_rule("public"), member(kAlice, kCarol, "ban")},
       carol,
       "1:5.2.3 6:4.2.3 8:4.3.3 12:5.3.3"},
      {"public", {join_rule("public")}, carol, "1:ok"},
      {"left, public", {join_rule("public"), member(kCarol, kCarol, "leave")}, carol, "1:ok"},
      {"invite only", {join_rule("invite")}, carol, "1:5.2.6 6:4.2.6 8:4.3.7 12:5.3.7"},
      {"invited", {join_rule("invite"), member(kAlice, kCarol, "invite")}, carol, "1:ok"},
      {"again", {join_rule("invite"), carol}, carol, "1:ok"},
      {"no join rules, invited", {member(kAlice, kCarol, "invite")}, carol, "1:ok"},
      {"knock only, invited",
       {join_rule("knock"), member(kAlice, kCarol, "invite")},
       carol,
       "1:5.2.6 6:4.2.6 7:ok"},
      {"knock only, knocking",
       {join_rule("knock"), member(kCarol, kCarol, "knock")},
       carol,
       "1:5.2.6 6:4.2.6 8:4.3.7 12:5.3.7"},
      {"unknown rule",
       {join_rule("private"), member(kAlice, kCarol, "invite")},
       carol,
       "1:5.2.6 6:4.2.6 8:4.3.7 12:5.3.7"},
      {"rule is no string",
       {with_content(join_rule(""), R"({"join_rule":1})")},
       carol,
       "1:5.2.6 6:4.2.6 8:4.3.7 12:5.3.7"},
  });
}

TEST(Authorise, RestrictedJoins) {
  const TestEvent authorised =
      with_content(joined(kCarol),
                   R"({"membership":"join","join_authorised_via_users_server":"@bob:b.example"})");
  const TestEvent restricted = join_rule("restricted");
  const TestEvent knock_restricted = join_rule("knock_restricted");
  const TestEvent weak_bob = levels(R"({"users":{"@bob:b.example":39},"invite":40})");
  check({
      {"authorised", {restricted, joined(kBob), kLevels}, authorised, "1:5.2.6 6:4.2.6 8:ok"},
      {"invited",
       {restricted, member(kBob, kCarol, "invite")},
       joined(kCarol),
       "1:5.2.6 6:4.2.6 8:ok"},
      {"joined", {restricted, joined(kCarol)}, joined(kCarol), "1:5.2.6 6:4.2.6 8:ok"},
      {"nobody authorised",
       {restricted, joined(kBob), kLevels},
       joined(kCarol),
       "8:4.3.5.2 12:5.3.5.2"},
      {"authorised by absent", {restricted, kLevels}, authorised, "8:4.3.5.2 12:5.3.5.2"},
      {"authorised by weak",
       {restricted, joined(kBob), weak_bob},
       authorised,
       "8:4.3.5.2 12:5.3.5.2"},
      {"banned",
       {restricted, joined(kBob), kLevels, member(kBob, kCarol, "ban")},
       authorised,
       "8:4.3.3 12:5.3.3"},
      {"knock_restricted",
       {knock_restricted, joined(kBob), kLevels},
       authorised,
       "1:5.2.6 6:4.2.6 8:4.3.7 10:ok"},
      {"knock_restricted, alone",
       {knock_restricted, joined(kBob), kLevels},
       joined(kCarol),
       "8:4.3.7 10:4.3.5.2 12:5.3.5.2"},
      {"authorised by no user",
       {restricted},
       with_content(joined(kCarol),
                    R"({"membership":"join","join_authorised_via_users_server":"bob"})"),
       "8:4.2.1 12:5.2.1"},
      {"authorised by a number",
       {restricted},
       with_content(joined(kCarol),
                    R"({"membership":"join","join_authorised_via_users_server":5})"),
       "8:4.2.1 12:5.2.1"},
  });
}

TEST(Authorise, Invites) {
  const TestEvent invite = member(kBob, "@dan:d.example", "invite");
  check({
      {"with the level", {kLevels, joined(kBob)}, invite, "1:ok"},
      {"sender not joined", {kLevels}, invite, "1:5.3.2 6:4.3.2 8:4.4.2 12:5.4.2"},
      {"target joined",
       {kLevels, joined(kBob), joined("@dan:d.example")},
       invite,
       "1:5.3.3 6:4.3.3 8:4.4.3 12:5.4.3"},
      {"target banned",
       {kLevels, joined(kBob), member(kAlice, "@dan:d.example", "ban")},
       invite,
       "1:5.3.3 6:4.3.3 8:4.4.3 12:5.4.3"},
      {"below the level",
       {levels(R"({"invite":1})"), joined(kBob)},
       invite,
       "1:5.3.5 6:4.3.5 8:4.4.5 12:5.4.5"},
      {"without levels", {joined(kBob)}, invite, "1:ok"},
      {"creator, level above all numbers of users",
       {levels(R"({"invite":9007199254740991})"), joined(kAlice)},
       member(kAlice, kBob, "invite"),
       "1:5.3.5 6:4.3.5 8:4.4.5 12:ok"},
  });
}

TEST(Authorise, Leaves) {
  check({
      {"own, joined", {joined(kCarol)}, member(kCarol, kCarol, "leave"), "1:ok"},
      {"own, invited", {member(kAlice, kCarol, "invite")}, member(kCarol, kCarol, "leave"), "1:ok"},
      {"own, knocking",
       {member(kCarol, kCarol, "knock")},
       member(kCarol, kCarol, "leave"),
       "1:5.4.1 6:4.4.1 7:ok"},
      {"own, banned",
       {member(kAlice, kCarol, "ban")},
       member(kCarol, kCarol, "leave"),
       "1:5.4.1 6:4.4.1 8:4.5.1 12:5.5.1"},
      {"own, never in", {}, member(kCarol, kCarol, "leave"), "1:5.4.1 6:4.4.1 8:4.5.1 12:5.5.1"},
      {"kick",
       {kLevels, joined(kBob), joined("@dan:d.example")},
       member(kBob, "@dan:d.example", "leave"),
       "1:ok"},
      {"kick from outside",
       {kLevels, joined("@dan:d.example")},
       member(kBob, "@dan:d.example", "leave"),
       "1:5.4.2 6:4.4.2 8:4.5.2 12:5.5.2"},
      {"kick of an equal",
       {kLevels, joined(kBob), joined(kCarol)},
       member(kBob, kCarol, "leave"),
       "1:5.4.5 6:4.4.5 8:4.5.5 12:5.5.5"},
      {"kick below the level",
       {levels(R"({"users":{"@bob:b.example":49}})"), joined(kBob)},
       member(kBob, kCarol, "leave"),
       "1:5.4.5 6:4.4.5 8:4.5.5 12:5.5.5"},
      {"unban",
       {kLevels, joined(kBob), member(kAlice, "@dan:d.example", "ban")},
       member(kBob, "@dan:d.example", "leave"),
       "1:ok"},
      {"unban below the ban level",
       {levels(R"({"users":{"@bob:b.example":50},"ban":51})"), joined(kBob),
        member(kAlice, "@dan:d.example", "ban")},
       member(kBob, "@dan:d.example", "leave"),
       "1:5.4.3 6:4.4.3 8:4.5.3 12:5.5.3"},
      {"kick of the creator",
       {levels(R"({"users":{"@bob:b.example":9007199254740991}})"), joined(kBob), joined(kAlice)},
       member(kBob, kAlice, "leave"),
       "1:ok 12:5.5.5"},
  });
}

TEST(Authorise, Bans) {
  check({
      {"with the level", {kLevels, joined(kBob)}, member(kBob, "@dan:d.example", "ban"), "1:ok"},
      {"from outside",
       {kLevels},
       member(kBob, "@dan:d.example", "ban"),
       "1:5.5.1 6:4.5.1 8:4.6.1 12:5.6.1"},
      {"of an equal",
       {kLevels, joined(kBob), joined(kCarol)},
       member(kBob, kCarol, "ban"),
       "1:5.5.3 6:4.5.3 8:4.6.3 12:5.6.3"},
      {"of oneself",
       {kLevels, joined(kBob)},
       member(kBob, kBob, "ban"),
       "1:5.5.3 6:4.5.3 8:4.6.3 12:5.6.3"},
      {"below the level",
       {levels(R"({"users":{"@bob:b.example":49}})"), joined(kBob)},
       member(kBob, kCarol, "ban"),
       "1:5.5.3 6:4.5.3 8:4.6.3 12:5.6.3"},
  });
}

TEST(Authorise, Knocks) {
  const TestEvent knock = member(kCarol, kCarol, "knock");
  check({
      {"knock", {join_rule("knock")}, knock, "1:5.6 6:4.6 7:ok"},
      {"knock_restricted",
       {join_rule("knock_restricted")},
       knock,
       "1:5.6 6:4.6 7:4.6.1 8:4.7.1 10:ok"},
      {"public", {join_rule("public")}, knock, "1:5.6 6:4.6 7:4.6.1 8:4.7.1 12:5.7.1"},
      {"no join rules", {}, knock, "7:4.6.1 8:4.7.1 12:5.7.1"},
      {"for another",
       {join_rule("knock")},
       member(kBob, kCarol, "knock"),
       "7:4.6.2 8:4.7.2 12:5.7.2"},
      {"banned",
       {join_rule("knock"), member(kAlice, kCarol, "ban")},
       knock,
       "7:4.6.4 8:4.7.4 12:5.7.4"},
      {"invited",
       {join_rule("knock"), member(kAlice, kCarol, "invite")},
       knock,
       "7:4.6.4 8:4.7.4 12:5.7.4"},
      {"joined", {join_rule("knock"), joined(kCarol)}, knock, "7:4.6.4 8:4.7.4 12:5.7.4"},
      {"again", {join_rule("knock"), knock}, knock, "7:ok"},
  });
}

TEST(Authorise, MembersThatAreNone) {
  TestEvent keyless = joined(kCarol);
  keyless.state_key = {};
  check({
      {"no state key", {join_rule("public")}, keyless, "1:5.1 6:4.1 12:5.1"},
      {"no membership",
       {join_rule("public")},
       with_content(joined(kCarol), "{}"),
       "1:5.1 6:4.1 12:5.1"},
      {"unknown membership",
       {join_rule("public")},
       member(kCarol, kCarol, "lurk"),
       "1:5.6 6:4.6 7:4.7 8:4.8 12:5.8"},
      {"membership is no string",
       {join_rule("public")},
       with_content(joined(kCarol), R"({"membership":["join"]})"),
       "1:5.6 6:4.6 7:4.7 8:4.8 12:5.8"},
  });
}

class ThirdPartyInvites : public testing::Test {
 protected:
  crypto::SigningKey key(char fill) {
    std::string seed = base::base64_encode(as_bytes(std::string(32, fill)));
    return *crypto::SigningKey::from_seed(KeyId::trusted("ed25519:0"), seed);
  }
  TestEvent original(const std::string& content, const char* sender = kBob) {
    TestEvent event = state_event(sender, "m.room.third_party_invite", "token");
    event.content = content;
    return event;
  }
  std::string public_key(char fill) { return key(fill).verify_key().to_base64(); }
  // Bob invites Carol with what an identity server signed.
  TestEvent invite(json::Object signed_part, std::optional<char> signed_by) {
    if (signed_by) events::sign_json(signed_part, "id.example", key(*signed_by));
    json::Object content{{"membership", "invite"},
                         {"third_party_invite", json::object({{"signed", signed_part}})}};
    return with_content(member(kBob, kCarol, "invite"), json::write(content));
  }
  json::Object right_part() { return {{"mxid", kCarol}, {"token", "token"}}; }
};

TEST_F(ThirdPartyInvites, NeedASignatureOfTheRoomsInvite) {
  const TestEvent single = original(R"({"public_key":")" + public_key('a') + R"("})");
  const TestEvent list = original(R"({"public_keys":[{"public_key":"nonsense"},{"public_key":")" +
                                  public_key('a') + R"("}]})");
  const TestEvent none = original("{}");
  const TestEvent other_sender = original(R"({"public_key":")" + public_key('a') + R"("})", kAlice);
  const TestEvent banned = member(kAlice, kCarol, "ban");
  TestEvent many = original("{}");
  many.content = R"({"public_keys":[)";
  for (int i = 0; i < 70; ++i)
    many.content += R"({"public_key":")" + public_key('a') + R"("},)";
  many.content.back() = ']';
  many.content += "}";
  check({
      {"single key", {single}, invite(right_part(), 'a'), "1:ok"},
      {"one of several keys", {list}, invite(right_part(), 'a'), "1:ok"},
      {"target banned",
       {single, banned},
       invite(right_part(), 'a'),
       "1:5.3.1.1 6:4.3.1.1 8:4.4.1.1 12:5.4.1.1"},
      {"nothing signed",
       {single},
       with_content(member(kBob, kCarol, "invite"),
                    R"({"membership":"invite","third_party_invite":{}})"),
       "1:5.3.1.2 6:4.3.1.2 8:4.4.1.2 12:5.4.1.2"},
      {"no object",
       {single},
       with_content(member(kBob, kCarol, "invite"),
                    R"({"membership":"invite","third_party_invite":1})"),
       "1:5.3.1.2 6:4.3.1.2 8:4.4.1.2 12:5.4.1.2"},
      {"no mxid",
       {single},
       invite({{"token", "token"}}, 'a'),
       "1:5.3.1.3 6:4.3.1.3 8:4.4.1.3 12:5.4.1.3"},
      {"no token",
       {single},
       invite({{"mxid", kCarol}}, 'a'),
       "1:5.3.1.3 6:4.3.1.3 8:4.4.1.3 12:5.4.1.3"},
      {"another mxid",
       {single},
       invite({{"mxid", kAlice}, {"token", "token"}}, 'a'),
       "1:5.3.1.4 6:4.3.1.4 8:4.4.1.4 12:5.4.1.4"},
      {"another token",
       {single},
       invite({{"mxid", kCarol}, {"token", "x"}}, 'a'),
       "1:5.3.1.5 6:4.3.1.5 8:4.4.1.5 12:5.4.1.5"},
      {"another sender",
       {other_sender},
       invite(right_part(), 'a'),
       "1:5.3.1.6 6:4.3.1.6 8:4.4.1.6 12:5.4.1.6"},
      {"another key",
       {single},
       invite(right_part(), 'b'),
       "1:5.3.1.8 6:4.3.1.8 8:4.4.1.8 12:5.4.1.8"},
      {"no key", {none}, invite(right_part(), 'a'), "1:5.3.1.8 6:4.3.1.8 8:4.4.1.8 12:5.4.1.8"},
      {"no signature",
       {single},
       invite(right_part(), {}),
       "1:5.3.1.8 6:4.3.1.8 8:4.4.1.8 12:5.4.1.8"},
      {"more keys than anybody needs",
       {many},
       invite(right_part(), 'a'),
       "1:5.3.1.8 6:4.3.1.8 8:4.4.1.8 12:5.4.1.8"},
  });
}

}  // namespace
}  // namespace polder::dag
