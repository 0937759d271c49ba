#include "homeserver/server/descriptors.h"

namespace polder::server {
namespace {

TEST(Descriptors, ConnectionsLeaveTheDatabaseItsOwn) {
  for (const uint64_t limit : {1024u, 4096u, 20'000u, 65'536u, 1'048'576u}) {
    const Descriptors shared = share_out(limit, 20'000);
    EXPECT_GE(shared.database_files, 64) << limit;
    EXPECT_GE(shared.connections, 100u) << limit;
    EXPECT_LE(shared.connections, 20'000u) << limit;
    EXPECT_LE(2 * shared.connections + static_cast<size_t>(shared.database_files) + 96, limit);
  }
  EXPECT_EQ(share_out(65'536, 20'000).connections, 20'000u);
  EXPECT_EQ(share_out(65'536, 20'000).database_files, 512);
  EXPECT_EQ(share_out(0, 20'000).connections, 16u) << "it can be asked whether it lives";
}

}  // namespace
}  // namespace polder::server
