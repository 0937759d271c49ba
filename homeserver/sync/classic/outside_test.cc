// Invites and knocks of rooms that this server is not in, as /sync shows them.
#include "homeserver/sync/classic/testing/sync.h"
#include "homeserver/users/data/account_data.h"

namespace polder::sync {
namespace {

const RoomId kFar = RoomId::trusted("!far:other");
const events::RoomVersionRules& kRules = *events::find_room_version("11");

class OutsideSyncTest : public SyncTest {
 protected:
  // The events that a section tells of the far room; null if it is not there.
  static const json::Array* events_in(const json::Object& response, std::string_view section,
                                      std::string_view list) {
    const json::Object* room =
        response.find_object("rooms")->find_object(section)->find_object(kFar.view());
    return room != nullptr ? room->find_object(list)->find_array("events") : nullptr;
  }
  void store(const UserId& sender, std::string membership) {
    events::EventDraft draft;
    draft.room_id = kFar;
    draft.sender = sender;
    draft.type = "m.room.member";
    draft.state_key = alice_.str();
    draft.content.set("membership", std::move(membership));
    draft.origin_server_ts = ++time_;
    json::Object pdu = events::make_pdu(draft, kRules, "x");
    const bool own = sender == alice_;
    events::hash_and_sign(pdu, kRules, own ? own_ : other_, own ? key_ : other_key_);
    json::Array state;
    state.emplace_back(json::object({{"type", "m.room.name"},
                                     {"state_key", ""},
                                     {"sender", bob_.str()},
                                     {"content", json::object({{"name", "Far"}})}}));
    const auto stored = run(engine_->writer.store_outside_membership(
        kRules, *events::Event::parse(std::move(pdu), kRules), std::move(state)));
    ASSERT_TRUE(stored.ok()) << stored.error().message;
  }

  int64_t time_ = 0;
};

TEST_F(OutsideSyncTest, AnInviteShowsItsStrippedStateOnce) {
  const std::string before = next(sync());
  store(bob_, "invite");
  for (const std::string& since : {std::string(), before}) {
    const json::Object response = sync(since);
    const json::Array* shown = events_in(response, "invite", "invite_state");
    ASSERT_NE(shown, nullptr) << since;
    ASSERT_EQ(shown->size(), 2u);
    EXPECT_EQ(*(*shown)[0].as_object()->find_string("type"), "m.room.name");
    EXPECT_EQ(*(*shown)[1].as_object()->find_string("state_key"), alice_.str());
    EXPECT_EQ(events_in(sync(next(response)), "invite", "invite_state"), nullptr);
  }
}

TEST_F(OutsideSyncTest, AnInviteOfAnIgnoredUserIsNotShown) {
  const users::Parts parts{*runtime_, *database_, *committer_, *names_, own_};
  users::AccountData data(parts, *turns_);
  const auto ignore = [&](json::Object ignored) {
    return run(
        data.set(number_, 0, "m.ignored_user_list", {{"ignored_users", std::move(ignored)}}));
  };
  ASSERT_TRUE(ignore({{bob_.str(), json::Object()}}).ok());
  store(bob_, "invite");
  EXPECT_EQ(events_in(sync(), "invite", "invite_state"), nullptr);
  ASSERT_TRUE(ignore({}).ok());
  EXPECT_NE(events_in(sync(), "invite", "invite_state"), nullptr);
}

TEST_F(OutsideSyncTest, AnInviteThatEndedIsARoomThatWasLeft) {
  store(bob_, "invite");
  const std::string before = next(sync());
  store(alice_, "leave");
  const json::Object response = sync(before);
  EXPECT_EQ(events_in(response, "invite", "invite_state"), nullptr);
  const json::Array* shown = events_in(response, "leave", "timeline");
  ASSERT_NE(shown, nullptr);
  ASSERT_EQ(shown->size(), 1u);
  EXPECT_EQ(*(*shown)[0].as_object()->find_object("content")->find_string("membership"), "leave");
  EXPECT_EQ(events_in(sync(), "leave", "timeline"), nullptr);
}

TEST_F(OutsideSyncTest, AKnockHasASectionOfItsOwn) {
  store(alice_, "knock");
  ASSERT_NE(events_in(sync(), "knock", "knock_state"), nullptr);
  store(bob_, "invite");
  const json::Object response = sync();
  EXPECT_EQ(events_in(response, "knock", "knock_state"), nullptr);
  EXPECT_NE(events_in(response, "invite", "invite_state"), nullptr);
}

TEST_F(OutsideSyncTest, WhoWaitsIsWoken) {
  const std::string before = next(sync());
  std::optional<Result<SyncResponse>> answer;
  runtime::spawn(*runtime_, runtime_->shard(0), "sync",
                 runtime::keep(sync_->run(request(before, Millis(30'000))), answer));
  simulation_->run_for(Millis(1'000));
  ASSERT_FALSE(answer.has_value());
  store(bob_, "invite");
  const auto stored_at = simulation_->clock().steady();
  ASSERT_TRUE(simulation_->run_until([&] { return answer.has_value(); }, Millis(60'000)));
  EXPECT_LT(simulation_->clock().steady() - stored_at, std::chrono::seconds(5));
  EXPECT_NE(events_in(*json::parse_object((*answer)->text), "invite", "invite_state"), nullptr);
}

}  // namespace
}  // namespace polder::sync
