// Invites and knocks of rooms that this server is not in, as /sync shows them.
#include "homeserver/json/parse.h"
#include "homeserver/rooms/test_engine.h"
#include "homeserver/sync/sync.h"
#include "homeserver/users/account_data.h"

namespace polder::sync {
namespace {

const RoomId kFar = RoomId::trusted("!far:other");
const events::RoomVersionRules& kRules = *events::find_room_version("11");

class OutsideSyncTest : public rooms::RoomsTest {
 protected:
  void SetUp() override {
    const users::Parts parts{*runtime_, *database_, *committer_, *names_, own_};
    typing_ = std::make_unique<users::Typing>(runtime_->clock());
    receipts_ = std::make_unique<users::Receipts>(parts);
    device_keys_ = std::make_unique<users::DeviceKeys>(parts);
    push_rules_ = std::make_unique<push::Rules>(parts);
    counts_ = std::make_unique<push::Counts>(*push_rules_);
    sync_ = std::make_unique<Sync>(
        Services{*engine_, *typing_, *receipts_, *device_keys_, *push_rules_, *counts_});
    kv::Batch batch;
    stores::NewNames names;
    number_ = *names_->intern(stores::NameKind::kUser, alice_.view(), batch, names);
  }

  SyncRequest request(std::string since, Millis timeout = Millis(0)) {
    SyncRequest request;
    request.user = alice_;
    request.number = number_;
    request.device = DeviceId::trusted("D");
    request.since = std::move(since);
    request.timeout = timeout;
    return request;
  }
  json::Object sync(std::string since = "") {
    const auto text = run(sync_->run(request(std::move(since))));
    EXPECT_TRUE(text.ok()) << text.error().message;
    return *json::parse_object(*text);
  }
  static std::string next(const json::Object& response) {
    return *response.find_string("next_batch");
  }
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
    const auto stored = run(engine_->store_outside_membership(
        kRules, *events::Event::parse(std::move(pdu), kRules), std::move(state)));
    ASSERT_TRUE(stored.ok()) << stored.error().message;
  }

  stores::UserNumber number_ = 0;
  int64_t time_ = 0;
  std::unique_ptr<users::Typing> typing_;
  std::unique_ptr<users::Receipts> receipts_;
  std::unique_ptr<users::DeviceKeys> device_keys_;
  std::unique_ptr<push::Rules> push_rules_;
  std::unique_ptr<push::Counts> counts_;
  std::unique_ptr<Sync> sync_;
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
  users::AccountData data({*runtime_, *database_, *committer_, *names_, own_});
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
  std::optional<Result<std::string>> answer;
  runtime::spawn(*runtime_, runtime_->shard(0), "sync",
                 keep(sync_->run(request(before, Millis(30'000))), answer));
  simulation_->run_for(Millis(1'000));
  ASSERT_FALSE(answer.has_value());
  store(bob_, "invite");
  const auto stored_at = simulation_->clock().steady();
  ASSERT_TRUE(simulation_->run_until([&] { return answer.has_value(); }, Millis(60'000)));
  EXPECT_LT(simulation_->clock().steady() - stored_at, std::chrono::seconds(5));
  EXPECT_NE(events_in(*json::parse_object(**answer), "invite", "invite_state"), nullptr);
}

}  // namespace
}  // namespace polder::sync
