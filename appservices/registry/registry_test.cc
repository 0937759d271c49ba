#include "appservices/registry/registry.h"

namespace polder::appservices {
namespace {

const ServerName kOwn = ServerName::trusted("own");

Registration service(const std::string& name) {
  Registration made;
  made.file = name + ".yaml";
  made.id = name;
  made.as_token = "as-" + name;
  made.hs_token = "hs-" + name;
  made.sender_localpart = name + "bot";
  return made;
}

Namespace of(const std::string& regex, bool exclusive) {
  return {exclusive, *Pattern::compile(regex)};
}

Registry registry() {
  Registration irc = service("irc");
  irc.users = {of("@_irc_.*", true)};
  irc.aliases = {of("#_irc_.*", true), of("#lobby", false)};
  Registration log = service("log");
  log.users = {of("@.*", false)};
  log.rooms = {of("!abc", true)};
  return *Registry::create({irc, log}, kOwn);
}

std::string ids(const Registry::Interested& found) {
  std::string all;
  for (const Registration* one : found)
    all += one->id + ";";
  return all;
}
std::string id(const Registration* owner) {
  return owner != nullptr ? owner->id : "";
}

TEST(Registry, UsersConcernThoseWhoseNamespacesMatch) {
  const Registry known = registry();
  struct Case {
    const char* user;
    const char* interested;
    const char* owner;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"@_irc_alice:own", "irc;log;", "irc"},
           {"@alice:own", "log;", ""},
           {"@ircbot:own", "irc;log;", "irc"},
           {"@logbot:own", "log;", "log"},
           {"@_irc_alice:other", "", ""},
           {"@ircbot:other", "", ""},
       }) {
    const UserId user = UserId::trusted(c.user);
    EXPECT_EQ(ids(known.interested_in(user)), c.interested) << c.user;
    EXPECT_EQ(id(known.owner_of(user)), c.owner) << c.user;
  }
}

TEST(Registry, AliasesAndRoomsConcernThoseWhoseNamespacesMatch) {
  const Registry known = registry();
  const RoomAlias bridged = RoomAlias::trusted("#_irc_x:own");
  EXPECT_EQ(ids(known.interested_in(bridged)), "irc;");
  EXPECT_EQ(id(known.owner_of(bridged)), "irc");
  const RoomAlias lobby = RoomAlias::trusted("#lobby:own");
  EXPECT_EQ(ids(known.interested_in(lobby)), "irc;");
  EXPECT_EQ(id(known.owner_of(lobby)), "");
  EXPECT_EQ(ids(known.interested_in(RoomAlias::trusted("#x:own"))), "");
  EXPECT_EQ(ids(known.interested_in(RoomId::trusted("!abcd"))), "log;");
  EXPECT_EQ(ids(known.interested_in(RoomId::trusted("!xabc"))), "");
}

TEST(Registry, ATokenIsOneServices) {
  const Registry known = registry();
  EXPECT_EQ(id(known.find_by_token("as-irc")), "irc");
  EXPECT_EQ(id(known.find_by_token("as-log")), "log");
  for (const char* token : {"", "as-", "as-irc ", "hs-irc", "irc"})
    EXPECT_EQ(known.find_by_token(token), nullptr) << token;
  EXPECT_EQ(Registry().find_by_token(""), nullptr);
}

TEST(Registry, NoTwoShareWhatTellsThemApart) {
  struct Case {
    const char* name;
    std::string Registration::* field;
  };
  for (const Case& c : {Case{"id", &Registration::id}, Case{"as_token", &Registration::as_token},
                        Case{"hs_token", &Registration::hs_token},
                        Case{"sender_localpart", &Registration::sender_localpart}}) {
    Registration first = service("irc"), second = service("log");
    second.*c.field = first.*c.field;
    const auto made = Registry::create({first, second}, kOwn);
    ASSERT_FALSE(made.ok()) << c.name;
    EXPECT_EQ(made.error().message,
              "log.yaml: " + std::string(c.name) + " is that of irc.yaml too: each needs its own");
  }
}

}  // namespace
}  // namespace polder::appservices
