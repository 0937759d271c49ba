#include "homeserver/protocol/dag/server_acl.h"

#include "homeserver/base/json/parse.h"

namespace polder::dag {
namespace {

bool allows(std::string_view content, std::string_view server) {
  const auto name = ServerName::parse(server);
  EXPECT_TRUE(name.ok()) << server;
  return ServerAcl(*json::parse_object(content)).allows(*name);
}

TEST(ServerAcl, ListsAreAppliedInTheOrderOfTheSpecification) {
  struct Case {
    std::string_view content;
    std::string_view server;
    bool allowed;
  };
  const Case cases[] = {
      {R"({"allow":["*"]})", "good.example", true},
      {R"({"allow":["*"],"deny":["evil.example"]})", "evil.example", false},
      {R"({"allow":["evil.example"],"deny":["evil.example"]})", "evil.example", false},
      {R"({"allow":["*"],"deny":["*.evil.example"]})", "a.b.evil.example", false},
      {R"({"allow":["*"],"deny":["*.evil.example"]})", "evil.example", true},
      {R"({"allow":["*"],"deny":["evil?.example"]})", "evil1.example", false},
      {R"({"allow":["*"],"deny":["evil?.example"]})", "evil.example", true},
      // Without an allow rule nobody may take part.
      {R"({})", "good.example", false},
      {R"({"deny":["evil.example"]})", "good.example", false},
      {R"({"allow":"*"})", "good.example", false},
      {R"({"allow":[1,null,"good.example"]})", "good.example", true},
      // Case does not count (MSC4436), on either side.
      {R"({"allow":["*"],"deny":["EVIL.Example"]})", "evil.example", false},
      {R"({"allow":["*"],"deny":["evil.example"]})", "eVIL.EXAMPLE", false},
      // Nor does the port.
      {R"({"allow":["*"],"deny":["evil.example"]})", "evil.example:8448", false},
      {R"({"allow":["good.example"]})", "good.example:1234", true},
      {R"({"allow":["good.example:1234"]})", "good.example:1234", false},
      // Address literals.
      {R"({"allow":["*"],"allow_ip_literals":false})", "1.2.3.4", false},
      {R"({"allow":["*"],"allow_ip_literals":false})", "1.2.3.4:8448", false},
      {R"({"allow":["*"],"allow_ip_literals":false})", "[2001:db8::1]", false},
      {R"({"allow":["*"],"allow_ip_literals":false})", "[2001:db8::1]:8448", false},
      {R"({"allow":["*"],"allow_ip_literals":false})", "1.2.3.4.example", true},
      {R"({"allow":["*"],"allow_ip_literals":"false"})", "1.2.3.4", true},
      {R"({"allow":["*"],"deny":["[2001:db8::*"]})", "[2001:db8::1]:8448", false},
  };
  for (const Case& item : cases)
    EXPECT_EQ(allows(item.content, item.server), item.allowed) << item.content << item.server;
}

// CVE-2023-45129: an ACL as large as an event may be, made to be slow.
TEST(ServerAcl, AHostileListIsAnsweredWithoutExponentialWork) {
  json::Array deny;
  std::string glob;
  for (int i = 0; i < 60; ++i)
    glob += "**a";
  for (int i = 0; i < 300; ++i)
    deny.emplace_back(glob + "b");
  deny.emplace_back(std::string(60'000, '*'));
  const ServerAcl acl(json::Object{{"allow", json::Array{"*"}}, {"deny", std::move(deny)}});
  EXPECT_FALSE(acl.allows(*ServerName::parse(std::string(200, 'a'))));
}

}  // namespace
}  // namespace polder::dag
