#include "homeserver/base/egress/egress.h"

#include "homeserver/base/egress/address.h"
#include "homeserver/base/egress/dns_message.h"
#include "homeserver/base/egress/url.h"
#include "homeserver/base/runtime/simulated.h"
#include "homeserver/base/runtime/testing/outcome.h"
#include "homeserver/base/runtime/threads.h"
#include "homeserver/base/values/bytes.h"

namespace polder::egress {
namespace {

TEST(Address, OnlyThePublicInternetIsPublic) {
  for (const char* address : {"1.1.1.1", "9.255.255.255", "100.63.255.255", "172.15.0.1",
                              "172.32.0.1", "192.167.1.1", "223.255.255.255", "2a00:1450::1",
                              "2606:4700:4700::1111", "2002:101:101::1", "64:ff9b::1.1.1.1"}) {
    EXPECT_TRUE(is_public_address(address)) << address;
  }
  for (const char* address : {"0.0.0.0",
                              "10.0.0.1",
                              "100.64.0.1",
                              "127.0.0.1",
                              "169.254.169.254",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.168.1.1",
                              "198.18.0.1",
                              "224.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::1",
                              "::127.0.0.1",
                              "::ffff:127.0.0.1",
                              "::ffff:10.0.0.1",
                              "::ffff:8.8.8.8",
                              "fe80::1",
                              "fc00::1",
                              "fd12::1",
                              "fec0::1",
                              "ff02::1",
                              "2001:db8::1",
                              "2001::1",
                              "2002:7f00:1::",
                              "2002:a00:1::",
                              "64:ff9b::127.0.0.1",
                              "64:ff9b::a00:1",
                              "64:ff9b:1::1",
                              "2a00:1450::5efe:127.0.0.1",
                              "100::1"}) {
    EXPECT_FALSE(is_public_address(address)) << address;
  }
}

TEST(Address, ShorthandsAreNone) {
  for (const char* text : {"127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.1 ",
                           "fe80::1%eth0", "[::1]", "", "example.org"}) {
    EXPECT_FALSE(is_address(text)) << text;
    EXPECT_FALSE(is_public_address(text)) << text;
  }
}

TEST(Url, IsReadAndFollowed) {
  const auto url = *parse_url("https://example.org:8443/a?b=c#d");
  EXPECT_TRUE(url.tls);
  EXPECT_EQ(url.host, "example.org");
  EXPECT_EQ(url.port, 8443);
  EXPECT_EQ(url.target, "/a?b=c");
  EXPECT_EQ(parse_url("http://[2a00::1]")->authority(), "[2a00::1]");
  EXPECT_EQ(parse_url("https://a.example?x")->target, "/?x");
  EXPECT_EQ(follow_location(url, "/other")->port, 8443);
  EXPECT_EQ(follow_location(url, "//b.example/x")->host, "b.example");
  EXPECT_EQ(follow_location(url, "https://b.example/x")->target, "/x");
}

TEST(Url, WhatIsNoneIsRefused) {
  for (const char* text :
       {"", "ftp://a/", "https://", "https://user:pw@a/", "https://a:0/", "https://a:99999/",
        "https://a:1x/", "https://[::1", "https://[a]/", "https://[1.2.3.4]/", "https://a b/",
        "https://a/ b", "https://a/\r\nX: y", "javascript:alert(1)", "file:///etc/passwd"}) {
    EXPECT_FALSE(parse_url(text).ok()) << text;
  }
  EXPECT_FALSE(follow_location(Url(), "relative").ok());
  EXPECT_FALSE(follow_location(Url(), "").ok());
}

// An answer with one SRV record for _a._tcp.b. whose owner is compressed.
std::string srv_answer() {
  const std::string name(
      "\x02_a\x04_tcp\x01"
      "b\0",
      11);
  return std::string("\0\1\x81\x80\0\1\0\1\0\0\0\0", 12) + name + std::string("\0\x21\0\1", 4) +
         std::string("\xc0\x0c\0\x21\0\1\0\0\1\x2c\0\x0b", 12) +
         std::string(
             "\0\x0a\0\5\x20\xfc\x01h\x01"
             "b\0",
             11);
}

TEST(DnsMessage, ServicesAreRead) {
  const std::string message = srv_answer();
  const auto found = parse_services(as_bytes(message));
  ASSERT_TRUE(found.ok()) << found.error().message;
  ASSERT_EQ(found->services.size(), 1u);
  EXPECT_EQ(found->services[0].priority, 10);
  EXPECT_EQ(found->services[0].weight, 5);
  EXPECT_EQ(found->services[0].port, 8444);
  EXPECT_EQ(found->services[0].target, "h.b");
  EXPECT_EQ(found->ttl, std::chrono::seconds(300));
}

TEST(DnsMessage, CutOffOrChangedMessagesAreSurvived) {
  const std::string message = srv_answer();
  for (size_t size = 0; size < message.size(); ++size) {
    const std::string part = message.substr(0, size);
    EXPECT_FALSE(parse_services(as_bytes(part)).ok()) << size;
  }
  for (size_t i = 0; i < message.size(); ++i) {
    std::string changed = message;
    changed[i] = '\xff';
    (void)parse_services(as_bytes(changed)).ok();
  }
}

class FakeResolver final : public Resolver {
 public:
  std::map<std::string, std::vector<std::string>> hosts;
  int asked = 0;
  bool busy = false;
  Task<Result<Addresses>> addresses(std::string host) override {
    ++asked;
    if (busy) co_return fail(ErrorCode::kRateLimited, "too many DNS look-ups");
    if (!hosts.contains(host)) co_return fail(ErrorCode::kNotFound, "no such host");
    co_return Addresses{hosts[host], std::chrono::seconds(60)};
  }
  Task<Result<Services>> services(std::string) override {
    ++asked;
    if (busy) co_return fail(ErrorCode::kRateLimited, "too many DNS look-ups");
    co_return fail(ErrorCode::kNotFound, "no such service");
  }
};

class FakeTransport final : public http::Transport {
 public:
  std::vector<http::ClientRequest> sent;
  std::map<std::string, http::ClientResponse> answers;  // by address
  Task<Result<http::ClientResponse>> send(http::ClientRequest request) override {
    sent.push_back(request);
    const auto found = answers.find(request.address);
    if (found == answers.end()) co_return fail(ErrorCode::kUnavailable, "refused");
    co_return found->second;
  }
};

// Redirects to itself, each time after a while.
class SlowRedirects final : public http::Transport {
 public:
  explicit SlowRedirects(runtime::Runtime& runtime) : runtime_(runtime) {}
  static constexpr Millis kTakes{4'000};
  Task<Result<http::ClientResponse>> send(http::ClientRequest request) override {
    co_await runtime::sleep_for(runtime_, std::min(request.timeout, kTakes));
    if (request.timeout <= kTakes) co_return fail(ErrorCode::kTimeout, "no time left");
    http::ClientResponse response;
    response.status = 302;
    response.headers.add("Location", "/again");
    co_return response;
  }

 private:
  runtime::Runtime& runtime_;
};

class EgressTest : public testing::Test {
 protected:
  template <class T>
  T run(Task<T> task) {
    return runtime::outcome(*simulation_, *runtime_, std::move(task), Millis(600'000));
  }
  Result<http::ClientResponse> get(const std::string& host, int redirects = 0) {
    EgressRequest request;
    request.host = host;
    request.headers.add("Authorization", "secret");
    request.redirects_max = redirects;
    return run(egress_.send(std::move(request)));
  }
  static http::ClientResponse answer(int status, const std::string& location = "") {
    http::ClientResponse response;
    response.status = status;
    if (!location.empty()) response.headers.add("Location", location);
    return response;
  }

  std::unique_ptr<runtime::Simulation> simulation_ = runtime::Simulation::create(1);
  std::unique_ptr<runtime::Runtime> runtime_ = simulation_->add_runtime("a");
  FakeResolver resolver_;
  FakeTransport transport_;
  CheckedEgress egress_{*runtime_, resolver_, transport_, true};
};

TEST_F(EgressTest, TheCheckedAddressIsTheOneConnectedTo) {
  resolver_.hosts["a.example"] = {"127.0.0.1", "9.9.9.9"};
  transport_.answers["9.9.9.9"] = answer(200);
  ASSERT_TRUE(get("a.example").ok());
  ASSERT_EQ(transport_.sent.size(), 1u);
  EXPECT_EQ(transport_.sent[0].address, "9.9.9.9");
  EXPECT_EQ(transport_.sent[0].tls_name, "a.example");
  EXPECT_EQ(transport_.sent[0].host, "a.example");
  EXPECT_EQ(resolver_.asked, 1);
}

TEST_F(EgressTest, PrivateDestinationsAreRefusedUnlessAllowed) {
  resolver_.hosts["a.example"] = {"10.0.0.1", "::ffff:127.0.0.1"};
  transport_.answers["127.0.0.1"] = answer(200);
  EXPECT_EQ(get("a.example").error().code, ErrorCode::kForbidden);
  EXPECT_EQ(get("127.0.0.1").error().code, ErrorCode::kForbidden);
  EXPECT_TRUE(transport_.sent.empty());
  egress_.set_deny_private_addresses(false);
  EXPECT_TRUE(get("127.0.0.1").ok());
}

TEST_F(EgressTest, TheNextAddressIsTriedIfOneCannotBeReached) {
  resolver_.hosts["a.example"] = {"9.9.9.8", "9.9.9.9"};
  transport_.answers["9.9.9.9"] = answer(204);
  EXPECT_EQ(get("a.example")->status, 204);
  EXPECT_EQ(transport_.sent.size(), 2u);
  EXPECT_EQ(get("b.example").error().code, ErrorCode::kNotFound);
}

TEST_F(EgressTest, RedirectsAreCheckedLikeRequestsAndBounded) {
  resolver_.hosts["a.example"] = {"9.9.9.9"};
  resolver_.hosts["inside.example"] = {"10.0.0.1"};
  transport_.answers["9.9.9.9"] = answer(302, "https://inside.example/");
  EXPECT_EQ(get("a.example")->status, 302);
  EXPECT_EQ(get("a.example", 5).error().code, ErrorCode::kForbidden);
  transport_.answers["9.9.9.9"] = answer(302, "http://a.example/");
  EXPECT_EQ(get("a.example", 5).error().code, ErrorCode::kForbidden);
  transport_.sent.clear();
  transport_.answers["9.9.9.9"] = answer(302, "/again");
  EXPECT_EQ(get("a.example", 5)->status, 302);
  ASSERT_EQ(transport_.sent.size(), 6u);
  EXPECT_EQ(transport_.sent[0].headers.find("Authorization"), "secret");
  EXPECT_EQ(transport_.sent[1].headers.count("Authorization"), 0u);
  EXPECT_EQ(transport_.sent[1].target, "/again");
}

TEST_F(EgressTest, OneTimeIsForAllOfARequest) {
  SlowRedirects transport(*runtime_);
  CheckedEgress egress(*runtime_, resolver_, transport, true);
  EgressRequest request;
  request.host = "9.9.9.9";
  request.redirects_max = 5;
  request.timeout = Millis(10'000);
  const auto begun = runtime_->clock().steady();
  EXPECT_EQ(run(egress.send(std::move(request))).error().code, ErrorCode::kTimeout);
  EXPECT_LE(runtime_->clock().steady() - begun, Millis(10'100));
}

TEST_F(EgressTest, HowRequestsEndIsCountedByCause) {
  resolver_.hosts["a.example"] = {"9.9.9.9"};
  resolver_.hosts["inside.example"] = {"10.0.0.1"};
  transport_.answers["9.9.9.9"] = answer(500);
  static_cast<void>(get("a.example").ok());
  static_cast<void>(get("inside.example").ok());
  static_cast<void>(get("unknown.example").ok());
  const EgressStats& stats = egress_.stats(Cause::kRooms);
  EXPECT_EQ(stats.answered.value(), 1u);
  EXPECT_EQ(stats.forbidden.value(), 1u);
  EXPECT_EQ(stats.no_address.value(), 1u);
  EXPECT_EQ(stats.failed.value(), 0u);
  EXPECT_EQ(egress_.stats(Cause::kSender).answered.value(), 0u);
}

TEST_F(EgressTest, RequestsCannotBeSplit) {
  EgressRequest request;
  request.host = "9.9.9.9";
  request.target = "/ HTTP/1.1\r\nX: y";
  EXPECT_EQ(run(egress_.send(request)).error().code, ErrorCode::kInvalid);
  request.target = "/";
  request.host_header = "a\r\nX: y";
  EXPECT_EQ(run(egress_.send(request)).error().code, ErrorCode::kInvalid);
  request.host_header = "a";
  request.headers.add("X", "a\r\nY: b");
  EXPECT_EQ(run(egress_.send(request)).error().code, ErrorCode::kInvalid);
  EXPECT_TRUE(transport_.sent.empty());
}

TEST_F(EgressTest, NamesAreRememberedForTheirTime) {
  resolver_.hosts["a.example"] = {"9.9.9.9"};
  const auto cache = make_caching_resolver(resolver_, runtime_->clock());
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(run(cache->addresses("a.example")).ok());
  EXPECT_EQ(resolver_.asked, 1);
  EXPECT_FALSE(run(cache->services("_x._tcp.a.example")).ok());
  EXPECT_FALSE(run(cache->services("_x._tcp.a.example")).ok());
  EXPECT_EQ(resolver_.asked, 2);
  simulation_->run_for(Millis(61'000));
  EXPECT_TRUE(run(cache->addresses("a.example")).ok());
  EXPECT_EQ(resolver_.asked, 3);
  EXPECT_EQ(cache->figures().misses, 3u);
  EXPECT_EQ(cache->figures().hits, 3u);
  EXPECT_EQ(cache->figures().entries, 2u);
}

TEST_F(EgressTest, WhatNobodyWasAskedIsNotRemembered) {
  resolver_.hosts["a.example"] = {"9.9.9.9"};
  const auto cache = make_caching_resolver(resolver_, runtime_->clock());
  resolver_.busy = true;
  EXPECT_EQ(run(cache->addresses("a.example")).error().code, ErrorCode::kRateLimited);
  EXPECT_EQ(run(cache->services("_x._tcp.a.example")).error().code, ErrorCode::kRateLimited);
  resolver_.busy = false;
  EXPECT_TRUE(run(cache->addresses("a.example")).ok());
  EXPECT_EQ(run(cache->services("_x._tcp.a.example")).error().code, ErrorCode::kNotFound);
}

Task<void> look_up_localhost(runtime::Threads& runtime, Resolver& resolver,
                             std::optional<Result<Addresses>>& found) {
  found.emplace(co_await resolver.addresses("localhost"));
  runtime.stop();
}

TEST(SystemResolver, ReadsTheHostsFile) {
  base::SystemClock clock;
  base::SystemRandom random;
  base::NullLog log;
  auto resolver = make_system_resolver();
  ASSERT_TRUE(resolver.ok()) << resolver.error().message;
  auto runtime = runtime::Threads::create({}, clock, random, log);
  std::optional<Result<Addresses>> found;
  runtime::spawn(*runtime, runtime->shard(0), "look-up",
                 look_up_localhost(*runtime, **resolver, found));
  runtime->run();
  (*resolver)->stop();  // its thread may still be waking the runtime, which ends before it
  ASSERT_TRUE(found.has_value());
  ASSERT_TRUE(found->ok()) << found->error().message;
  EXPECT_FALSE(is_public_address((*found)->addresses[0]));
}

}  // namespace
}  // namespace polder::egress
