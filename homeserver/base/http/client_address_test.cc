#include "homeserver/base/http/client_address.h"

namespace polder::http {
namespace {

TEST(ClientAddress, IsTheRightmostHopThatIsNotTrusted) {
  struct Case {
    const char* peer;
    std::vector<std::pair<std::string, std::string>> headers;
    const char* client;
    const char* why;
  };
  const std::string forwarded = "X-Forwarded-For";
  for (const Case& c : std::vector<Case>{
           {"192.0.2.9", {}, "192.0.2.9", "no proxy"},
           {"192.0.2.9", {{forwarded, "198.51.100.1"}}, "192.0.2.9", "not trusted: a forgery"},
           {"10.0.0.1", {}, "10.0.0.1", "the proxy itself asks"},
           {"10.0.0.1", {{forwarded, "198.51.100.1"}}, "198.51.100.1", "one proxy"},
           {"10.0.0.1", {{"x-forwarded-for", "198.51.100.1"}}, "198.51.100.1", "any case"},
           {"10.0.0.1",
            {{forwarded, "203.0.113.5, 198.51.100.1"}},
            "198.51.100.1",
            "what is left of it the client wrote"},
           {"10.0.0.1",
            {{forwarded, "203.0.113.5, 198.51.100.1,10.1.2.3"}},
            "198.51.100.1",
            "two proxies"},
           {"10.0.0.1",
            {{forwarded, "203.0.113.5"}, {"Via", "x"}, {forwarded, "198.51.100.1"}},
            "198.51.100.1",
            "several fields are one list"},
           {"10.0.0.1", {{forwarded, "10.9.9.9"}}, "10.9.9.9", "all trusted: the first"},
           {"10.0.0.1", {{forwarded, "unknown"}}, "10.0.0.1", "no address"},
           {"10.0.0.1", {{forwarded, "198.51.100.1, rubbish"}}, "10.0.0.1", "nothing beyond it"},
           {"10.0.0.1", {{forwarded, ""}}, "10.0.0.1", "empty"},
           {"10.0.0.1", {{forwarded, "198.51.100.1:4711"}}, "198.51.100.1", "with a port"},
           {"10.0.0.1", {{forwarded, "[2001:db8::1]:4711"}}, "2001:db8::1", "with a port"},
           {"10.0.0.1", {{forwarded, "2001:db8::1"}}, "2001:db8::1", "IPv6"},
           {"10.0.0.1", {{forwarded, "::ffff:198.51.100.1"}}, "198.51.100.1", "mapped"},
           {"::ffff:10.0.0.1", {{forwarded, "198.51.100.1"}}, "198.51.100.1", "a mapped proxy"},
           {"::ffff:192.0.2.9", {}, "192.0.2.9", "a mapped client"},
           {"fd00::1", {{forwarded, "198.51.100.1"}}, "198.51.100.1", "a proxy with IPv6"},
           {"somebody", {{forwarded, "198.51.100.1"}}, "somebody", "no address, not trusted"},
       }) {
    Headers headers;
    for (const auto& [name, value] : c.headers)
      headers.add(name, value);
    const std::vector<IpRange> trusted = {*IpRange::parse("10.0.0.0/8"),
                                          *IpRange::parse("fd00::1")};
    EXPECT_EQ(client_address(c.peer, headers, trusted), c.client) << c.why;
  }
}

}  // namespace
}  // namespace polder::http
