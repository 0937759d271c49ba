// Rooms of which this server knows a part of the state at first.
#include "homeserver/sync/classic/testing/sync.h"

namespace polder::sync {
namespace {

class PartialTest : public SyncTest {
 protected:
  events::EventPtr add(const UserId& sender, std::string type, std::string state_key,
                       json::Object content) {
    const auto& rules = *events::find_room_version("11");
    events::EventDraft draft{room_, sender, std::move(type), std::move(state_key),
                             std::move(content)};
    for (const events::EventPtr& event : history_) {
      const bool needed = event->is("m.room.create") ||
                          event->is_state("m.room.member", sender.view()) ||
                          (event->is("m.room.join_rules") && draft.type == "m.room.member");
      if (needed) draft.auth_events.push_back(event->id());
    }
    if (!history_.empty()) draft.prev_events.push_back(history_.back()->id());
    draft.depth = static_cast<int64_t>(history_.size()) + 1;
    const bool own = sender.server() == own_.view();
    json::Object pdu = events::make_pdu(draft, rules, "x");
    events::hash_and_sign(pdu, rules, own ? own_ : other_, own ? key_ : other_key_);
    history_.push_back(*events::Event::parse(std::move(pdu), rules));
    return history_.back();
  }
  // Enters without the topic, which comes once the other server can tell of it.
  void enter_without_topic() {
    add(bob_, "m.room.create", "", {{"room_version", "11"}});
    add(bob_, "m.room.member", bob_.str(), {{"membership", "join"}});
    add(bob_, "m.room.join_rules", "", {{"join_rule", "public"}});
    rooms::ImportedState part;
    part.state = history_;
    part.partial.emplace();
    part.partial->since_ms = runtime_->clock().wall_ms();
    part.partial->servers = {other_};
    add(bob_, "m.room.topic", "", {{"topic", "t"}});
    for (const events::EventPtr& event : history_) {
      whole_.state.push_back(event->id());
      remote_.events.emplace(event->id(), event->json());
    }
    join_ = add(alice_, "m.room.member", alice_.str(), {{"membership", "join"}});
    const auto entered =
        run(engine_->writer.enter(*events::find_room_version("11"), std::move(part), join_));
    ASSERT_TRUE(entered.ok()) << entered.error().message;
  }
  bool tells_topic(const json::Object& response) {
    const json::Object* join = response.find_object("rooms")->find_object("join");
    const json::Object* room = join->find_object(room_.view());
    if (room == nullptr) return false;
    const json::Array& state = *room->find_object("state")->find_array("events");
    return std::ranges::any_of(state, [](const json::Value& event) {
      return *event.as_object()->find_string("type") == "m.room.topic";
    });
  }

  const RoomId room_ = RoomId::trusted("!theirs:other");
  std::vector<events::EventPtr> history_;
  events::EventPtr join_;
  rooms::RemoteStateIds whole_;
};

TEST_F(PartialTest, TheStateIsToldAnewOnceItIsKnownInFull) {
  enter_without_topic();
  const json::Object first = sync();
  EXPECT_FALSE(tells_topic(first));
  ASSERT_TRUE(say(room_, alice_, "meanwhile").ok());
  const std::string since = next(sync(next(first)));
  remote_.states.emplace(join_->id(), whole_);
  ASSERT_TRUE(simulation_->run_until(
      [&] { return !(*engine_->source().head(room_))->record.partial; }, Millis(600'000)));
  const json::Object told = sync(since);
  EXPECT_TRUE(tells_topic(told));
  EXPECT_TRUE(tells_topic(sync()));
  ASSERT_TRUE(say(room_, alice_, "later").ok());
  EXPECT_FALSE(tells_topic(sync(next(told)))) << "once";
}

}  // namespace
}  // namespace polder::sync
