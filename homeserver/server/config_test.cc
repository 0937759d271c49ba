#include "homeserver/server/config.h"

namespace polder::server {
namespace {

constexpr std::string_view kSmallest = R"(
server_name = "example.org"
data_dir = "/data"
[[listeners]]
bind = "127.0.0.1"
port = 8008
)";

std::string refusal(const std::string& toml) {
  const auto config = parse_config(toml);
  return config.ok() ? "accepted" : config.error().message;
}

TEST(Config, TheExampleIsValidAndHoldsTheDefaults) {
  const auto example = parse_config(config_example());
  ASSERT_TRUE(example.ok()) << example.error().message << config_example();
  const auto smallest = parse_config(kSmallest);
  ASSERT_TRUE(smallest.ok()) << smallest.error().message;
  EXPECT_EQ(example->rooms.default_version, smallest->rooms.default_version);
  EXPECT_EQ(example->federation.retry_max_ms, smallest->federation.retry_max_ms);
  EXPECT_EQ(example->storage.cache_mb, smallest->storage.cache_mb);
  EXPECT_EQ(example->listeners.front().resources, smallest->listeners.front().resources);
}

TEST(Config, ChangesAreToldByWhenTheyTakeEffect) {
  const auto with = [](const std::string& more) {
    return *parse_config(std::string(kSmallest) + more);
  };
  const Config smallest = with("");
  struct Case {
    std::string more;
    std::vector<std::string> at_once, with_restart;
  };
  const Case cases[] = {
      {"", {}, {}},
      {"[registration]\nenabled = false\n", {}, {}},  // as it is without
      {"[registration]\nenabled = true\n", {"registration.enabled"}, {}},
      {"[registration]\ntokens = [\"abc\"]\n", {"registration.tokens"}, {}},
      {"[turn]\nuris = [\"turn:a\"]\n", {"turn.uris"}, {}},
      {"[rooms]\ncache_mb = 9\ndefault_version = \"11\"\n",
       {"rooms.default_version"},
       {"rooms.cache_mb"}},
      {"[[listeners]]\nbind = \"127.0.0.2\"\nport = 1\n",
       {},
       {"listeners[1].bind", "listeners[1].port"}},
  };
  for (const Case& each : cases) {
    const ConfigChanges changes = compare(smallest, with(each.more));
    EXPECT_EQ(changes.at_once, each.at_once) << each.more;
    EXPECT_EQ(changes.with_restart, each.with_restart) << each.more;
    const ConfigChanges back = compare(with(each.more), smallest);
    EXPECT_EQ(back.at_once, each.at_once) << each.more;
  }
}

TEST(Config, ReadsWhatOutsideHarnessesWrite) {
  const auto config = parse_config(R"(
server_name = "hs1"
data_dir = "/path/to/data"
log_level = "warning"
[[listeners]]
bind = "127.10.1.11"
port = 8448
resources = ["federation", "client"]
tls_certificate = "/a.crt"
tls_key = "/a.key"
[registration]
enabled = true
shared_secret = "complement"
allow_guests = true
[rooms]
default_version = "11"
[limits]
rate_limits = false
[network]
deny_private_addresses = false
[federation]
retry_initial_ms = 200
[experimental]
msc = [2836, 3391]
)");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->server_name.str(), "hs1");
  EXPECT_EQ(config->log_level, LogLevel::kWarning);
  EXPECT_EQ(config->listeners.at(0).resources,
            (std::vector<Resource>{Resource::kFederation, Resource::kClient}));
  EXPECT_TRUE(config->registration.enabled);
  EXPECT_EQ(config->federation.retry_initial_ms, 200);
  EXPECT_TRUE(config->has_msc(3391));
  EXPECT_FALSE(config->has_msc(1));
}

TEST(Config, AClassOfRequestsHasItsOwnLimits) {
  const auto config = parse_config(std::string(kSmallest) + R"(
trusted_proxies = ["10.0.0.0/8", "::1"]
[limits.message]
per_second = 2.5
[limits.login_failed]
per_second = 1
burst = 7
[limits.federation]
at_once = 3
)");
  ASSERT_TRUE(config.ok()) << config.error().message;
  const auto rule = [&](http::RateClass rate) {
    return config->limits.rates[static_cast<size_t>(rate)];
  };
  EXPECT_EQ(rule(http::RateClass::kMessage).per_second, 2.5);
  EXPECT_EQ(rule(http::RateClass::kMessage).burst, 100);
  EXPECT_EQ(rule(http::RateClass::kLoginFailed).per_second, 1);
  EXPECT_EQ(rule(http::RateClass::kLoginFailed).burst, 7);
  EXPECT_EQ(rule(http::RateClass::kCheap).burst, 500);
  EXPECT_EQ(config->limits.servers_at_once, 3);
  ASSERT_EQ(config->listeners.front().trusted_proxies.size(), 2u);
  EXPECT_TRUE(
      config->listeners.front().trusted_proxies.front().contains(*IpAddress::parse("10.1.2.3")));
}

TEST(Config, RegistrationTokensAreOpaqueIdentifiers) {
  const auto with = [](const std::string& token) {
    return parse_config(std::string(kSmallest) + "[registration]\ntokens = [\"" + token + "\"]\n");
  };
  for (const std::string& token : {std::string("a"), std::string("A-z.0_~"), std::string(64, 'x')})
    EXPECT_TRUE(with(token).ok()) << token;
  for (const std::string& token :
       {std::string(), std::string("a b"), std::string("a+"), std::string(65, 'x')})
    EXPECT_FALSE(with(token).ok()) << token;
}

TEST(Config, NamesTheNearestKeyForAnUnknownOne) {
  const std::string small(kSmallest);
  EXPECT_EQ(refusal(small + "[registration]\nenable = true\n"),
            "line 8: unknown key registration.enable; did you mean registration.enabled?");
  EXPECT_EQ(refusal("sever_name = \"a\"\n" + small),
            "line 1: unknown key sever_name; did you mean server_name?");
  EXPECT_EQ(refusal(small + "tls_cert = \"x\"\n"),
            "line 7: unknown key listeners.tls_cert; did you mean tls_key?");
}

TEST(Config, EveryFaultIsNamed) {
  const std::string faults =
      refusal("server_name = \"not a name\"\nlog_level = 3\n[rooms]\ndefault_version = \"99\"\n");
  EXPECT_NE(faults.find("line 1: server_name"), std::string::npos) << faults;
  EXPECT_NE(faults.find("line 2: log_level must be a string"), std::string::npos) << faults;
  EXPECT_NE(faults.find("line 4: rooms.default_version"), std::string::npos) << faults;
  EXPECT_NE(faults.find("data_dir is missing"), std::string::npos) << faults;
}

TEST(Config, RefusesWhatCannotWork) {
  const std::string small(kSmallest);
  EXPECT_NE(refusal("server_name = \"a\"\ndata_dir = \"/d\"\n").find("no [[listeners]]"),
            std::string::npos);
  EXPECT_NE(refusal(small + "tls_key = \"/k\"\n").find("go together"), std::string::npos);
  EXPECT_NE(refusal(small + "resources = [\"clients\"]\n").find("\"clients\""), std::string::npos);
  EXPECT_NE(refusal(small + "[federation]\nretry_max_ms = 0\n").find("must be from 1"),
            std::string::npos);
  EXPECT_NE(refusal("server_name = \n").find("line 1"), std::string::npos);
  EXPECT_NE(refusal(small + "trusted_proxies = [\"proxy\"]\n").find("\"proxy\" is neither"),
            std::string::npos);
  for (const char* bind :
       {"999.1.1.1", "", "1.2.3", "::1::", "a b", "http://x", "127.0.0.1:8008"}) {
    EXPECT_NE(refusal("server_name = \"a\"\ndata_dir = \"/d\"\n[[listeners]]\nport = 1\nbind = \"" +
                      std::string(bind) + "\"\n")
                  .find("line 5: listeners.bind: \"" + std::string(bind) + "\" is neither"),
              std::string::npos)
        << bind;
  }
  for (const char* bind : {"0.0.0.0", "::", "fe80::1%lo", "localhost", "matrix-1.example.org"}) {
    EXPECT_EQ(refusal("server_name = \"a\"\ndata_dir = \"/d\"\n[[listeners]]\nport = 1\nbind = \"" +
                      std::string(bind) + "\"\n"),
              "accepted")
        << bind;
  }
  for (const char* rate : {"0", "-1.5", "nan", "inf", "0.0001"}) {
    EXPECT_NE(refusal(small + "[limits.login]\nper_second = " + rate + "\n").find("must be from"),
              std::string::npos)
        << rate;
  }
  EXPECT_NE(refusal(small + "[limits.login]\nper_second = \"1\"\n").find("must be a number"),
            std::string::npos);
  EXPECT_NE(refusal(small + "[limits.logn]\nburst = 1\n").find("did you mean limits.login.burst?"),
            std::string::npos);
  EXPECT_NE(refusal(small + "[experimental]\nmsc = [\"x\"]\n").find("a list of whole numbers"),
            std::string::npos);
}

}  // namespace
}  // namespace polder::server
