#include "media/remote/remote.h"

#include "federation/transport/transport.h"
#include "media/files/testing/library.h"

namespace polder::remote_media {
namespace {

constexpr stores::UserNumber kAlice = 1;
constexpr stores::UserNumber kBob = 2;

std::string multipart(const std::string& headers, const std::string& body) {
  return "--b\r\n\r\n{}\r\n--b\r\n" + headers + "\r\n" + body + "\r\n--b--";
}

// Other servers that take a second to answer.
class SlowServers final : public transport::Servers {
 public:
  explicit SlowServers(runtime::Runtime& runtime) : runtime_(runtime) {}
  Result<std::string> answer = multipart("Content-Type: image/png\r\n", "PNG");
  std::vector<transport::Call> calls;
  std::map<std::string, size_t> running;  // by server
  size_t running_max = 0;
  size_t running_of_server_max = 0;

  Task<Result<http::ClientResponse>> call(ServerName server, transport::Call call) override {
    calls.push_back(std::move(call));
    size_t all = 0;
    running_of_server_max = std::max(running_of_server_max, ++running[server.str()]);
    for (const auto& [name, count] : running)
      all += count;
    running_max = std::max(running_max, all);
    co_await runtime::sleep_for(runtime_, Millis(1000));
    --running[server.str()];
    if (!answer.ok()) co_return answer.error();
    http::ClientResponse response;
    response.status = 200;
    response.headers.add("Content-Type", "multipart/mixed; boundary=b");
    response.body = *answer;
    co_return response;
  }
  Millis back_off(const ServerName&) const override { return Millis(0); }
  void heard_from(const ServerName&) override {}

 private:
  runtime::Runtime& runtime_;
};

class FakeEgress final : public egress::Egress {
 public:
  std::vector<egress::EgressRequest> requests;
  int status = 200;
  Task<Result<http::ClientResponse>> send(egress::EgressRequest request) override {
    requests.push_back(std::move(request));
    http::ClientResponse response;
    response.status = status;
    response.headers.add("Content-Type", "image/gif");
    response.headers.add("Content-Disposition", "inline; filename=x.gif");
    response.body = "GIF";
    co_return response;
  }
  Task<Result<egress::Services>> services(std::string, egress::Demand,
                                          std::chrono::nanoseconds) override {
    co_return fail(ErrorCode::kNotFound, "no such service");
  }
};

class RemoteTest : public testing::Test {
 protected:
  using Found = Result<stores::MediaRow>;
  static MxcUri uri(std::string_view server, std::string_view id) {
    return MxcUri::trusted(std::string("mxc://").append(server).append("/").append(id));
  }
  Found find(const MxcUri& uri, stores::UserNumber user = kAlice, Millis wait = Millis(20'000)) {
    return test_.run(remote_.find(uri, user, wait));
  }
  // Finds all at once.
  std::vector<std::optional<Found>> find_all(const std::vector<MxcUri>& uris,
                                             const std::vector<stores::UserNumber>& users) {
    std::vector<std::optional<Found>> results(uris.size());
    for (size_t i = 0; i < uris.size(); ++i)
      test_.spawn(remote_.find(uris[i], users[i], Millis(20'000)), results[i]);
    EXPECT_TRUE(test_.simulation().run_until(
        [&] { return std::ranges::all_of(results, [](const auto& r) { return r.has_value(); }); },
        Millis(600'000)));
    return results;
  }

  media::TestLibrary test_;
  SlowServers servers_{test_.runtime()};
  FakeEgress egress_;
  client::FederationClient client_{servers_};
  RemoteMedia remote_{Parts{test_.runtime(), client_, egress_, test_.library(), {2500, 5}}};
  const MxcUri picture_ = uri("other.example", "picture");
};

TEST_F(RemoteTest, AFileIsFetchedOnceAndKept) {
  servers_.answer = multipart(
      "Content-Type: image/png\r\nContent-Disposition: inline; filename=\"p.png\"\r\n", "PNG");
  const auto first = find(picture_);
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_EQ(first->content_type, "image/png");
  EXPECT_EQ(first->file_name, "p.png");
  EXPECT_EQ(*test_.content(picture_), "PNG");
  EXPECT_TRUE(find(picture_, kBob).ok());
  EXPECT_EQ(servers_.calls.size(), 1u);
  EXPECT_EQ(stores::read_media_of_user(*test_.database().snapshot(), kAlice)->bytes, 0u);
}

TEST_F(RemoteTest, WhoWantsTheSameWaitsForTheOneFetch) {
  const auto results =
      find_all(std::vector<MxcUri>(20, picture_), std::vector<stores::UserNumber>(20, kAlice));
  for (const auto& result : results)
    EXPECT_TRUE(result->ok());
  EXPECT_EQ(servers_.calls.size(), 1u);
}

TEST_F(RemoteTest, FetchesAtOnceAreBounded) {
  std::vector<MxcUri> uris;
  std::vector<stores::UserNumber> users;
  for (int i = 0; i < 200; ++i) {
    uris.push_back(uri("s" + std::to_string(i % 40) + ".example", "m" + std::to_string(i)));
    users.push_back(static_cast<stores::UserNumber>(1 + i % 50));
  }
  for (const auto& result : find_all(uris, users))
    EXPECT_TRUE(result->ok());
  EXPECT_EQ(servers_.running_max, kFetchesMax);
  EXPECT_EQ(servers_.running_of_server_max, kFetchesOfServerMax);
  servers_.running_max = 0;
  for (MxcUri& other : uris)
    other = MxcUri::trusted(other.str() + "x");
  find_all(uris, std::vector<stores::UserNumber>(200, kBob));
  EXPECT_EQ(servers_.running_max, kFetchesOfUserMax);
}

TEST_F(RemoteTest, ARefusalIsRememberedForAWhile) {
  servers_.answer = fail(ErrorCode::kNotFound, "M_NOT_FOUND: ?");
  EXPECT_EQ(find(picture_).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(find(picture_, kBob).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(servers_.calls.size(), 1u);
  servers_.answer = multipart("", "late");
  test_.simulation().run_for(kFailureLife);
  EXPECT_TRUE(find(picture_).ok());
}

TEST_F(RemoteTest, WhatIsNotUploadedYetIsAskedForAgain) {
  servers_.answer = fail(ErrorCode::kTimeout, "M_NOT_YET_UPLOADED: ?");
  EXPECT_EQ(find(picture_, kAlice, Millis(7000)).error().code, ErrorCode::kTimeout);
  EXPECT_EQ(servers_.calls[0].query.at(0),
            std::pair(std::string("timeout_ms"), std::string("7000")));
  servers_.answer = multipart("", "there");
  EXPECT_TRUE(find(picture_).ok());
}

TEST_F(RemoteTest, WhatOthersAnswerIsToldInOurWords) {
  const std::vector<std::pair<ErrorCode, ErrorCode>> cases = {
      {ErrorCode::kNotFound, ErrorCode::kNotFound},
      {ErrorCode::kTooLarge, ErrorCode::kTooLarge},
      {ErrorCode::kForbidden, ErrorCode::kUnavailable},
      {ErrorCode::kRateLimited, ErrorCode::kUnavailable},
      {ErrorCode::kMalformed, ErrorCode::kUnavailable},
  };
  int i = 0;
  for (const auto& [theirs, ours] : cases) {
    servers_.answer = fail(theirs, "M_X: <their words>");
    EXPECT_EQ(find(uri("other.example", std::to_string(i++))).error().code, ours);
  }
  servers_.answer = std::string("--b\r\n\r\n{}\r\n--b--");
  EXPECT_EQ(find(uri("other.example", "broken")).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(test_.files(), 0u);
}

TEST_F(RemoteTest, WhereAFileIsSaidToBeIsReachedThroughTheGate) {
  servers_.answer = multipart("Location: https://cdn.example:444/a?b\r\n", "");
  const auto found = find(picture_);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->content_type, "image/gif");
  EXPECT_EQ(found->file_name, "x.gif");
  EXPECT_EQ(*test_.content(picture_), "GIF");
  ASSERT_EQ(egress_.requests.size(), 1u);
  EXPECT_EQ(egress_.requests[0].host, "cdn.example");
  EXPECT_EQ(egress_.requests[0].port, 444);
  EXPECT_EQ(egress_.requests[0].target, "/a?b");
  EXPECT_EQ(egress_.requests[0].body_max, test_.library().parts().limits.fetch_bytes_max);
  EXPECT_EQ(egress_.requests[0].headers.size(), 0u);
}

TEST_F(RemoteTest, OtherPlacesAreNotGoneTo) {
  int i = 0;
  for (const char* location :
       {"http://cdn.example/a", "file:///etc/passwd", "/a", "//cdn.example/a", "https://u:p@h/"}) {
    servers_.answer = multipart(std::string("Location: ") + location + "\r\n", "");
    EXPECT_FALSE(find(uri("other.example", std::to_string(i++))).ok()) << location;
  }
  EXPECT_TRUE(egress_.requests.empty());
  egress_.status = 403;
  servers_.answer = multipart("Location: https://cdn.example/a\r\n", "");
  EXPECT_EQ(find(picture_).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(test_.files(), 0u);
}

// CVE-2024-37302: one user does not fill the disk.
TEST_F(RemoteTest, AUserMayFetchSoMuch) {
  servers_.answer = multipart("", std::string(1000, 'x'));
  for (const char* id : {"1", "2", "3"})
    ASSERT_TRUE(find(uri("other.example", id)).ok()) << id;
  EXPECT_EQ(find(picture_).error().code, ErrorCode::kRateLimited);
  EXPECT_TRUE(find(picture_, kBob).ok());
  EXPECT_TRUE(find(picture_).ok()) << "what is kept costs nothing";
  test_.simulation().run_for(Millis(100'000));
  EXPECT_TRUE(find(uri("other.example", "4")).ok());
  EXPECT_EQ(find(uri("other.example", "5")).error().code, ErrorCode::kRateLimited);
}

}  // namespace
}  // namespace polder::remote_media
