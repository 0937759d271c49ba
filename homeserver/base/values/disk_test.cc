#include "homeserver/base/values/disk.h"

#include <gtest/gtest.h>

#include <vector>

#include "homeserver/base/values/mutex.h"

namespace polder::base {
namespace {

class Misuses final : public DiskWatch {
 public:
  void disk_misused(ThreadRole role, std::string_view) override { roles.push_back(role); }
  std::vector<ThreadRole> roles;
};

TEST(DiskUse, IsToldOfOnAThreadThatAnswers) {
  Misuses misuses;
  {
    const WatchedThread watched(misuses, ThreadRole::kAnswers);
    note_disk_use("read");
    const DiskAllowed allowed;
    note_disk_use("read");
  }
  note_disk_use("read");
  EXPECT_EQ(misuses.roles, std::vector(1, ThreadRole::kAnswers));
}

TEST(DiskUse, IsToldOfUnderALock) {
  Misuses misuses;
  const WatchedThread watched(misuses, ThreadRole::kWorks);
  note_disk_use("read");
  EXPECT_TRUE(misuses.roles.empty());
  Mutex mutex;
  Lock lock(mutex);
  note_disk_use("read");
  EXPECT_EQ(misuses.roles.size(), 1u);
  lock.unlock();
  note_disk_use("read");
  EXPECT_EQ(misuses.roles.size(), 1u);
  lock.lock();
  note_disk_use("read");
  EXPECT_EQ(misuses.roles.size(), 2u);
}

}  // namespace
}  // namespace polder::base
