#include "appservices/registry/registration.h"

namespace polder::appservices {
namespace {

// The specification's example, with what it leaves out.
constexpr std::string_view kExample = R"(id: "IRC Bridge"
url: "http://127.0.0.1:1234"
as_token: "30c05ae90a248a41"
hs_token: "312df522183efd40"
sender_localpart: "_irc_bot" # Will result in @_irc_bot:example.org
rate_limited: false
receive_ephemeral: true
protocols: [irc, "xmpp"]
namespaces:
  users:
    - exclusive: true
      regex: "@_irc_bridge_.*"
  aliases:
    - exclusive: false
      regex: "#_irc_bridge_.*"
  rooms: []
de.sorunome.msc2409.push_ephemeral: true
)";

std::string replaced(std::string_view from, std::string_view to) {
  std::string text(kExample);
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string refusal(const std::string& yaml) {
  const auto read = read_registration(yaml);
  return read.ok() ? "" : read.error().message;
}

TEST(Registration, TheExampleIsReadWhole) {
  const auto read = read_registration(kExample);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->id, "IRC Bridge");
  EXPECT_EQ(read->url, "http://127.0.0.1:1234");
  EXPECT_EQ(read->as_token, "30c05ae90a248a41");
  EXPECT_EQ(read->hs_token, "312df522183efd40");
  EXPECT_EQ(read->sender_localpart, "_irc_bot");
  EXPECT_FALSE(read->rate_limited);
  EXPECT_TRUE(read->receive_ephemeral);
  EXPECT_EQ(read->protocols, (std::vector<std::string>{"irc", "xmpp"}));
  ASSERT_EQ(read->users.size(), 1u);
  EXPECT_TRUE(read->users[0].exclusive);
  EXPECT_TRUE(read->users[0].pattern.matches("@_irc_bridge_x:own"));
  ASSERT_EQ(read->aliases.size(), 1u);
  EXPECT_FALSE(read->aliases[0].exclusive);
  EXPECT_TRUE(read->rooms.empty());
}

TEST(Registration, WhatMayBeLeftOutHasItsDefault) {
  const auto read = read_registration(
      "{id: x, url: null, as_token: a, hs_token: h, sender_localpart: bot, namespaces: {}}");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->url, "");
  EXPECT_TRUE(read->rate_limited);
  EXPECT_FALSE(read->receive_ephemeral);
  EXPECT_TRUE(read->protocols.empty() && read->users.empty() && read->aliases.empty());
  EXPECT_EQ(refusal(replaced(R"("http://127.0.0.1:1234")", "~")), "");
  EXPECT_EQ(refusal(replaced(R"([irc, "xmpp"])", "null")), "");
}

TEST(Registration, AFaultIsNamedWithItsLineAndWhatIsRight) {
  struct Case {
    const char* from;
    std::string to;
    const char* message;
  };
  const std::string long_text(1001, 'x');
  for (const Case& c : std::vector<Case>{
           {"id: \"IRC Bridge\"\n", "", "id is missing"},
           {"\"IRC Bridge\"", "", "line 1: id must be a string"},
           {"\"IRC Bridge\"", "\"\"", "line 1: id must have from 1 to 1000 bytes"},
           {"\"IRC Bridge\"", long_text, "line 1: id must have from 1 to 1000 bytes"},
           {"\"IRC Bridge\"", "[x]", "line 1: id must be a string"},
           {"url: \"http://127.0.0.1:1234\"\n", "", "url is missing"},
           {"http://127", "127", "line 2: url must begin with http:// or https:// and a host"},
           {"http://127.0.0.1:1234", "https:///x", "line 2: url must begin"},
           {"30c05ae90a248a41", "two words", "line 3: as_token must have neither spaces nor"},
           {"\"312df522183efd40\"", "null", "line 4: hs_token must be a string"},
           {"_irc_bot", "@bot:own", "line 5: sender_localpart must be of a-z, 0-9"},
           {"_irc_bot", "Bot", "line 5: sender_localpart must be of a-z, 0-9"},
           {"rate_limited: false", "rate_limited: \"false\"",
            "line 6: rate_limited must be true or false"},
           {"receive_ephemeral: true", "receive_ephemeral: 1",
            "line 7: receive_ephemeral must be true or false"},
           {"[irc, \"xmpp\"]", "irc", "line 8: protocols must be a list"},
           {"[irc, \"xmpp\"]", "[[irc]]", "line 8: what protocols lists must be a string"},
           {"  rooms: []", "  rooms: {}", "line 16: namespaces.rooms must be a list"},
           {"- exclusive: true\n      ", "- ", "line 11: namespaces.users.exclusive is missing"},
           {"exclusive: true", "exclusive: maybe",
            "line 11: namespaces.users.exclusive must be true or false"},
           {"    - exclusive: true\n      regex: \"@_irc_bridge_.*\"", "    - exclusive: true",
            "line 11: namespaces.users.regex is missing"},
           {"\"@_irc_bridge_.*\"", "\"@(\"", "line 12: namespaces.users.regex is no regular"},
           {"\"@_irc_bridge_.*\"", "[x]", "line 12: namespaces.users.regex must be a string"},
           {"\"@_irc_bridge_.*\"", "\"(?!x)\"", "line 12: namespaces.users.regex is no regular"},
           {"    - exclusive: true\n      regex: \"@_irc_bridge_.*\"", "    - \"@_irc_.*\"",
            "line 11: what namespaces.users lists must be keys with values"},
           {"hs_token: ", "as_token: ", "line 4: as_token is there twice"},
           {"url:", "  url:", "is no YAML"},
           {"namespaces:\n", "---\nnamespaces:\n", "must be one YAML document, and has 2"},
       }) {
    EXPECT_NE(refusal(replaced(c.from, c.to)).find(c.message), std::string::npos)
        << c.message << " in: " << refusal(replaced(c.from, c.to));
  }
}

TEST(Registration, EveryFaultIsNamedAtOnce) {
  EXPECT_EQ(refusal("{}"),
            "id is missing\nurl is missing\nas_token is missing\nhs_token is missing\n"
            "sender_localpart is missing\nnamespaces is missing");
  EXPECT_EQ(refusal("5"),
            refusal("{}").insert(0, "line 1: a registration must be keys with values\n"));
}

TEST(Registration, WhatIsNoYamlEndsInAnError) {
  for (const std::string& text :
       {std::string(), std::string("\t"), std::string("{"), std::string("[1,"),
        std::string("&a [*a]"), std::string("*a"), std::string("\xff\xfe"),
        std::string("id: !!binary x"), std::string(10'000, '['), std::string("? {a: b} : c")}) {
    EXPECT_NE(refusal(text), "") << text.substr(0, 20);
  }
}

}  // namespace
}  // namespace polder::appservices
