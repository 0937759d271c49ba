#include "homeserver/base/values/ids.h"

namespace polder::base {
namespace {

struct Case {
  std::string text;
  bool ok;
};

template <class T>
void check(const std::vector<Case>& cases) {
  for (const Case& c : cases)
    EXPECT_EQ(T::parse(c.text).ok(), c.ok) << c.text;
}

TEST(ServerName, FollowsTheGrammar) {
  check<ServerName>({{"matrix.org", true},
                     {"matrix.org:8888", true},
                     {"1.2.3.4", true},
                     {"1.2.3.4:1234", true},
                     {"[1234:5678::abcd]", true},
                     {"[1234:5678::abcd]:5678", true},
                     {"localhost", true},
                     {"", false},
                     {"matrix.org:", false},
                     {"matrix.org:123456", false},
                     {"matrix.org:65536", false},
                     {"matrix.org:8a", false},
                     {"matrix.org:8:8", false},
                     {"[1234:5678::abcd", false},
                     {"[nonsense]", false},
                     {"under_score.org", false},
                     {"a/b", false},
                     {std::string(231, 'a'), false}});
}

TEST(ServerName, SplitsHostAndPort) {
  const ServerName name = *ServerName::parse("[::1]:8448");
  EXPECT_EQ(name.host(), "[::1]");
  EXPECT_EQ(name.port(), 8448);
  EXPECT_TRUE(name.is_ip_literal());
  EXPECT_FALSE(ServerName::parse("example.org")->port().has_value());
}

TEST(UserId, AcceptsHistoricalLocalpartsButCreatesOnlyNewOnes) {
  check<UserId>({{"@alice:example.org", true},
                 {"@Alice Smith:example.org", true},
                 {"@:example.org", true},
                 {"@alice", false},
                 {"alice:example.org", false},
                 {"@alice:", false},
                 {std::string("@a\0b:example.org", 16), false},
                 {"@" + std::string(243, 'a') + ":example.org", false},
                 {"@" + std::string(242, 'a') + ":example.org", true}});
  const ServerName server = *ServerName::parse("example.org");
  EXPECT_EQ(UserId::create("alice/1+2", server)->str(), "@alice/1+2:example.org");
  EXPECT_FALSE(UserId::create("Alice", server).ok());
  EXPECT_FALSE(UserId::create("", server).ok());
}

TEST(UserId, ServerKeepsItsPort) {
  const UserId user = *UserId::parse("@a:example.org:8448");
  EXPECT_EQ(user.localpart(), "a");
  EXPECT_EQ(user.server(), "example.org:8448");
}

TEST(RoomId, IsEitherServerScopedOrAHash) {
  check<RoomId>({{"!abc:example.org", true},
                 {"!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM", true},
                 {"!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3og", false},
                 {"!abc", false},
                 {"#abc:example.org", false}});
  EXPECT_FALSE(RoomId::parse("!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM")->server().has_value());
}

TEST(EventId, IsOpaque) {
  check<EventId>({{"$acR1l0raoZnm60CBwAVgqbZqoO/mYU81xysh1u7XcJk", true},
                  {"$143273582443PhrSn:example.org", true},
                  {"$", false},
                  {"", false},
                  {"$" + std::string(255, 'a'), false}});
}

TEST(MxcUri, RefusesPaths) {
  check<MxcUri>({{"mxc://example.org/AbC-1_2", true},
                 {"mxc://example.org/../etc", false},
                 {"mxc://example.org/a.b", false},
                 {"mxc://example.org/", false},
                 {"https://example.org/a", false}});
  const MxcUri uri = *MxcUri::parse("mxc://example.org:1/abc");
  EXPECT_EQ(uri.server(), "example.org:1");
  EXPECT_EQ(uri.media_id(), "abc");
}

TEST(KeyId, HasAlgorithmAndName) {
  const KeyId key = *KeyId::parse("ed25519:auto1");
  EXPECT_EQ(key.algorithm(), "ed25519");
  EXPECT_EQ(key.name(), "auto1");
  check<KeyId>({{"ed25519", false}, {":a", false}, {"ed25519:", false}});
}

}  // namespace
}  // namespace polder::base
