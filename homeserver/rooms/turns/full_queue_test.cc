// A committer that takes no more: what was acknowledged stays, and no event number is given twice.
#include <boost/asio/post.hpp>

#include "homeserver/rooms/engine/testing/engine.h"
#include "storage/stores/check/check.h"

namespace polder::rooms {
namespace {

// A committer whose disk is slow, and whose queue short.
class SlowCommitter final : public kv::Committer {
 public:
  SlowCommitter(runtime::Runtime& runtime, kv::Committer& inner)
      : runtime_(runtime), inner_(inner) {}

  size_t refused = 0;

  bool enqueue(kv::Batch batch, kv::Durability durability, Done done,
               BeforeVisible before_visible) override {
    if (waiting_.size() == kWaitingMax) {
      ++refused;
      boost::asio::post(runtime_.shard(0), [done = std::move(done)] {
        done(fail(ErrorCode::kRateLimited, "too much is waiting"));
      });
      return false;
    }
    waiting_.push_back({std::move(batch), durability, std::move(done), std::move(before_visible)});
    if (waiting_.size() == 1) timer_ = runtime_.after(Millis(10), [this] { release(); });
    return true;
  }
  kv::Position visible() const override { return inner_.visible(); }
  void on_visible(std::function<void(kv::Position)> observer) override {
    inner_.on_visible(std::move(observer));
  }
  void on_committed(CommitObserver observer) override { inner_.on_committed(std::move(observer)); }
  void stop() override { inner_.stop(); }
  size_t queued_bytes() const override { return inner_.queued_bytes(); }

 private:
  static constexpr size_t kWaitingMax = 2;
  struct Waiting {
    kv::Batch batch;
    kv::Durability durability;
    Done done;
    BeforeVisible before_visible;
  };

  void release() {
    for (Waiting& one : std::exchange(waiting_, {}))
      inner_.enqueue(std::move(one.batch), one.durability, std::move(one.done),
                     std::move(one.before_visible));
  }

  runtime::Runtime& runtime_;
  kv::Committer& inner_;
  std::vector<Waiting> waiting_;
  std::unique_ptr<runtime::Timer> timer_;
};

class FullQueueTest : public RoomsTest {
 protected:
  Task<void> send(RoomEngine& engine, RoomId room, size_t& done) {
    const auto sent =
        co_await engine.writer.send(room, {.sender = alice_, .type = "m.room.message"});
    if (sent.ok()) sent_.push_back(sent->id);
    ++done;
  }

  std::vector<EventId> sent_;
};

TEST_F(FullQueueTest, WhatIsRefusedTakesNothingWithIt) {
  constexpr size_t kAtOnce = 50;
  constexpr size_t kRounds = 3;
  const RoomId room = create();
  const size_t before = timeline_size(room);
  SlowCommitter slow(*runtime_, *committer_);
  RoomEngine engine(EngineParts{*runtime_, *database_, slow, *names_, own_, key_, keys_, remote_});
  ASSERT_TRUE(engine.rooms.load_heads().ok());
  for (size_t round = 0; round < kRounds; ++round) {
    size_t done = 0;
    for (size_t i = 0; i < kAtOnce; ++i)
      runtime::spawn(*runtime_, runtime_->shard(0), "send", send(engine, room, done));
    ASSERT_TRUE(simulation_->run_until([&] { return done == kAtOnce; }, Millis(60'000)));
  }
  EXPECT_GT(slow.refused, 0u);
  EXPECT_GT(sent_.size(), 0u);
  std::set<EventNumber> numbers;
  for (const EventId& id : sent_) {
    const auto place = *stores::find_event(*database_->snapshot(), id);
    ASSERT_TRUE(place.has_value());
    EXPECT_TRUE(numbers.insert(place->number).second);
  }
  EXPECT_EQ(timeline_size(room), before + sent_.size());
  EXPECT_EQ(stores::check_database(*database_->snapshot())->faults, std::vector<std::string>{});
}

}  // namespace
}  // namespace polder::rooms
