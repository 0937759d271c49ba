#include "homeserver/server/permitted_servers.h"

#include <gtest/gtest.h>

#include "homeserver/base/runtime/simulated.h"
#include "homeserver/base/runtime/testing/outcome.h"

namespace polder::server {
namespace {

const ServerName kOwn = ServerName::trusted("own.example");
const ServerName kOther = ServerName::trusted("other.example");

class Answering final : public transport::Servers {
 public:
  explicit Answering(size_t& calls) : calls_(calls) {}
  Task<Result<http::ClientResponse>> call(ServerName, transport::Call) override {
    ++calls_;
    co_return http::ClientResponse();
  }
  Millis back_off(const ServerName&) const override { return Millis(0); }
  void heard_from(const ServerName&) override {}

 private:
  size_t& calls_;
};

class PermittedServersTest : public testing::Test {
 protected:
  Status call(bool off, const ServerName& server) {
    PermittedServers servers(
        std::make_unique<Answering>(calls_), kOwn, off,
        [this](const policy::Act& act, const policy::Actor& actor, const policy::Facts& facts) {
          asked_ = act;
          return policy::to_status(policy::decide(act, actor, facts));
        });
    const auto answer = runtime::outcome(*simulation_, *runtime_,
                                         servers.call(server, transport::Call()), Millis(1000));
    return answer.ok() ? Status() : Status(answer.error());
  }

  std::unique_ptr<runtime::Simulation> simulation_ = runtime::Simulation::create(1);
  std::unique_ptr<runtime::Runtime> runtime_ = simulation_->add_runtime("a");
  size_t calls_ = 0;
  policy::Act asked_;
};

TEST_F(PermittedServersTest, ThePolicyIsAskedBeforeEveryRequest) {
  EXPECT_TRUE(call(false, kOther).ok());
  EXPECT_EQ(calls_, 1u);
  EXPECT_EQ(asked_.point, policy::Point::kFederateOut);
  EXPECT_EQ(asked_.target, kOther.str());
  for (const auto& [off, server] : {std::pair(true, kOther), std::pair(false, kOwn)}) {
    const Status refused = call(off, server);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().errcode.view(), "M_FORBIDDEN");
  }
  EXPECT_EQ(calls_, 1u);
}

}  // namespace
}  // namespace polder::server
