#include "homeserver/rooms/write/permission.h"

#include "storage/stores/base/testing/store.h"

namespace polder::rooms {
namespace {

class AuditTest : public stores::StoreTest {
 protected:
  AuditTest() { boot(); }
  ~AuditTest() override {
    end_tasks();
    halt();
  }
  void refuse(Audit& audit, policy::Point point, const std::string& user, size_t times) {
    policy::Client client;
    if (!user.empty()) client.user = UserId::trusted(user);
    const Decided decided{{.point = point}, client, policy::Refusal{.rule = "rule"}};
    for (size_t i = 0; i < times; ++i)
      audit.add_refused(decided);
  }
  // How many refusals of a user are recorded, and how many of anybody are said to be left out.
  std::pair<size_t, uint64_t> recorded(const std::string& user) {
    simulation_->run_for(Millis(2000));
    std::pair<size_t, uint64_t> found;
    const auto records = *stores::read_audit(*database_->snapshot(), 0, 10'000);
    for (const stores::AuditRecord& record : records) {
      found.first += record.actor == user ? 1 : 0;
      found.second += record.left_out;
    }
    return found;
  }
};

TEST_F(AuditTest, OneActorHidesNoOthersRefusals) {
  Audit audit(*runtime_, *committer_);
  refuse(audit, policy::Point::kRedact, "@eve:own", 2000);
  refuse(audit, policy::Point::kRedact, "@bob:own", 1);
  EXPECT_LT(recorded("@eve:own").first, 100u);
  EXPECT_EQ(recorded("@bob:own").first, 1u);
  // Nothing is hidden altogether: what was not recorded was counted.
  EXPECT_EQ(recorded("@eve:own").first + recorded("@eve:own").second, 2000u);
  EXPECT_EQ(audit.refusals("rule"), 2001u);
  refuse(audit, policy::Point::kLogin, "@eve:own", 2000);
  refuse(audit, policy::Point::kLogin, "@carol:own", 1);
  EXPECT_EQ(recorded("@carol:own").first, 1u);
  // In the next minute she is on record again.
  const size_t before = recorded("@eve:own").first;
  simulation_->run_for(Millis(60'000));
  refuse(audit, policy::Point::kRedact, "@eve:own", 1);
  EXPECT_EQ(recorded("@eve:own").first, before + 1);
}

TEST_F(AuditTest, ManyActorsDoNotFillTheDisk) {
  Audit audit(*runtime_, *committer_);
  for (int i = 0; i < 2000; ++i)
    refuse(audit, policy::Point::kRedact, "@u" + std::to_string(i) + ":own", 1);
  refuse(audit, policy::Point::kRegister, "", 2000);
  simulation_->run_for(Millis(2000));
  EXPECT_EQ(stores::read_audit(*database_->snapshot(), 0, 10'000)->size(), 610u);
}

}  // namespace
}  // namespace polder::rooms
