#include "homeserver/base/values/ip_address.h"

namespace polder::base {
namespace {

TEST(IpAddress, OnlyTheFullTextualFormIsOne) {
  for (const char* text : {"127.0.0.1", "255.255.255.255", "::", "::1", "2001:db8::1",
                           "::ffff:192.0.2.1", "fe80::1"}) {
    const auto address = IpAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->str(), text);
  }
  for (const std::string_view text :
       {"", "127.1", "2130706433", "0x7f.0.0.1", "127.0.0.1 ", "[::1]", "fe80::1%eth0", "1.2.3.256",
        "localhost", "1.2.3.4:80", "12345678901234567890123456789012345678901234567890"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("127.0.0.1\0.example", 18)));
}

TEST(IpAddress, AMappedAddressIsTheOneInside) {
  EXPECT_EQ(IpAddress::parse("::ffff:192.0.2.1")->unmapped().str(), "192.0.2.1");
  for (const char* text : {"192.0.2.1", "::192.0.2.1", "2001:db8::1"})
    EXPECT_EQ(IpAddress::parse(text)->unmapped().str(), text);
}

TEST(IpAddress, APrefixHasZerosBehindIt) {
  const auto address = *IpAddress::parse("2001:db8:1:2:ffff:ffff:ffff:ffff");
  EXPECT_EQ(address.prefix(64).str(), "2001:db8:1:2::");
  EXPECT_EQ(address.prefix(63).str(), "2001:db8:1:2::");
  EXPECT_EQ(address.prefix(62).str(), "2001:db8:1::");
  EXPECT_EQ(address.prefix(128), address);
  EXPECT_EQ(IpAddress::parse("192.0.2.255")->prefix(25).str(), "192.0.2.128");
}

TEST(IpRange, HoldsWhatHasItsPrefix) {
  struct Case {
    const char* range;
    const char* address;
    bool inside;
  };
  for (const Case& c : std::vector<Case>{{"10.0.0.0/8", "10.255.0.1", true},
                                         {"10.0.0.0/8", "11.0.0.1", false},
                                         {"192.0.2.128/25", "192.0.2.127", false},
                                         {"192.0.2.128/25", "192.0.2.200", true},
                                         {"0.0.0.0/0", "8.8.8.8", true},
                                         {"0.0.0.0/0", "::1", false},
                                         {"127.0.0.1", "127.0.0.1", true},
                                         {"127.0.0.1", "127.0.0.2", false},
                                         {"fd00::/8", "fd12::1", true},
                                         {"fd00::/8", "fe80::1", false},
                                         {"::1", "::1", true},
                                         {"::/0", "127.0.0.1", false}}) {
    EXPECT_EQ(IpRange::parse(c.range)->contains(*IpAddress::parse(c.address)), c.inside)
        << c.range << " " << c.address;
  }
}

TEST(IpRange, RefusesWhatIsNone) {
  for (const char* text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8 ",
                           "::/129", "10.0.0/8", "proxy", "10.0.0.0/8/8"}) {
    EXPECT_FALSE(IpRange::parse(text).ok()) << text;
  }
}

}  // namespace
}  // namespace polder::base
