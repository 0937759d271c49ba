#include "homeserver/users/data/read_order.h"

#include "storage/stores/base/testing/store.h"
#include "storage/stores/rooms/event_rows.h"

namespace polder::users {
namespace {

class ReadOrderTest : public stores::StoreTest {
 protected:
  ReadOrderTest() { boot(); }
  ~ReadOrderTest() override {
    end_tasks();
    halt();
  }
  void put(stores::RoomNumber room, const char* id, int64_t depth, stores::Standing standing = {}) {
    kv::Batch batch;
    stores::EventRecord record;
    record.standing = standing;
    record.depth = depth;
    std::optional<kv::PositionSlot> slot;
    if (!standing.outlier) slot = batch.reserve_position();
    stores::put_event(batch, {room, ++last_}, EventId::trusted(id), "{}", record, slot);
    EXPECT_TRUE(run(committer_->commit(std::move(batch))).ok());
  }

 private:
  stores::EventNumber last_ = 0;
};

TEST_F(ReadOrderTest, MarkersGoOnButNeverBack) {
  put(1, "$first", 7);
  put(1, "$second", 5);
  put(1, "$deep", 4, {.backfilled = true});
  put(1, "$deeper", 3, {.backfilled = true});
  put(1, "$outlier", 9, {.outlier = true});
  put(2, "$elsewhere", 9);
  struct Case {
    const char *from, *to;
    bool goes_on;
  };
  for (const Case& c : std::vector<Case>{{"$first", "$second", true},
                                         {"$second", "$first", false},
                                         {"$first", "$first", false},
                                         {"$deep", "$first", true},
                                         {"$first", "$deep", false},
                                         {"$deeper", "$deep", true},
                                         {"$deep", "$deeper", false},
                                         {"$first", "$outlier", true},
                                         {"$outlier", "$first", true},
                                         {"$first", "$unknown", true},
                                         {"$unknown", "$first", true},
                                         {"$unknown", "$unknown", false},
                                         {"$elsewhere", "$first", true}}) {
    const auto found =
        goes_on(*database_->snapshot(), 1, EventId::trusted(c.from), EventId::trusted(c.to));
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(*found, c.goes_on) << c.from << " to " << c.to;
  }
}

}  // namespace
}  // namespace polder::users
