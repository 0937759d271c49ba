// A room that another server made, for tests of entering it.
#pragma once

#include "homeserver/rooms/engine/testing/engine.h"
#include "storage/stores/check/check.h"

namespace polder::rooms {

class EnteringTest : public RoomsTest {
 protected:
  // A room of bob on the other server, and what alice needs to enter it.
  void make_room(std::string_view version) {
    rules_ = events::find_room_version(version);
    room_ = RoomId::trusted("!theirs" + std::string(version) + ":other");
    json::Object content{{"room_version", std::string(version)}};
    if (!rules_->creator_is_sender) content.set("creator", bob_.str());
    history_.clear();
    const RoomId named = room_;
    if (rules_->room_id_is_create_hash) room_ = RoomId();
    add(bob_, "m.room.create", "", content);
    room_ = rules_->room_id_is_create_hash ? history_[0]->room_id() : named;
    add(bob_, "m.room.member", bob_.str(), {{"membership", "join"}});
    json::Object users;
    if (!rules_->privileged_creators) users.set(bob_.str(), 100);
    add(bob_, "m.room.power_levels", "", {{"users", users}});
    add(bob_, "m.room.join_rules", "", {{"join_rule", "public"}});
  }
  events::EventPtr build(const UserId& sender, std::string type,
                         std::optional<std::string> state_key, json::Object content,
                         std::vector<EventId> prev_events, int64_t depth) {
    events::EventDraft draft{room_, sender, std::move(type), std::move(state_key),
                             std::move(content)};
    draft.prev_events = std::move(prev_events);
    draft.depth = depth;
    const std::string* membership = draft.content.find_string("membership");
    const bool by_join_rules = membership != nullptr && *membership != "ban";
    for (const events::EventPtr& event : history_) {
      const bool needed = (event->is("m.room.create") && !rules_->room_id_is_create_hash) ||
                          event->is("m.room.power_levels") ||
                          (event->is("m.room.join_rules") && by_join_rules) ||
                          (event->is("m.room.member") && *event->state_key() == sender.view());
      if (needed) draft.auth_events.push_back(event->id());
    }
    const bool own = sender.server() == own_.view();
    json::Object pdu = events::make_pdu(draft, *rules_, "x");
    events::hash_and_sign(pdu, *rules_, own ? own_ : other_, own ? key_ : other_key_);
    return *events::Event::parse(std::move(pdu), *rules_);
  }
  void add(const UserId& sender, std::string type, std::string state_key, json::Object content) {
    std::vector<EventId> prev;
    if (!history_.empty()) prev.push_back(history_.back()->id());
    history_.push_back(build(sender, std::move(type), std::move(state_key), std::move(content),
                             std::move(prev), static_cast<int64_t>(history_.size()) + 1));
  }
  events::EventPtr join_of_alice() {
    auto join = build(alice_, "m.room.member", alice_.str(), {{"membership", "join"}},
                      {history_.back()->id()}, static_cast<int64_t>(history_.size()) + 1);
    return join;
  }
  // Enters with the state in that order; what became of it.
  Status enter(std::vector<events::EventPtr> state, const events::EventPtr& join) {
    const auto entered =
        run(engine_->writer.enter(*rules_, ImportedState{std::move(state), {}}, join));
    return entered.ok() ? Status() : Status(entered.error());
  }
  size_t edge() { return (*engine_->source().head(room_))->record.extremities.size(); }
  void expect_consistent() {
    EXPECT_EQ(stores::check_database(*database_->snapshot())->faults, std::vector<std::string>{});
  }

  const events::RoomVersionRules* rules_ = nullptr;
  RoomId room_;
  std::vector<events::EventPtr> history_;
};

}  // namespace polder::rooms
