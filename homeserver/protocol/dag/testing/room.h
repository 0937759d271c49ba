// A room for tests: events with short names, made and numbered in order, held in memory.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/json/parse.h"
#include "homeserver/protocol/dag/auth_events.h"
#include "homeserver/protocol/dag/source.h"
#include "homeserver/protocol/dag/state_resolution.h"
#include "homeserver/protocol/dag/testing/memory_chains.h"
#include "homeserver/protocol/events/event.h"
#include "homeserver/protocol/events/room_version.h"

namespace polder::dag {

// What a test says of an event. Previous and auth events are names.
struct TestEvent {
  std::string sender;
  std::string type;
  std::optional<std::string> state_key;
  std::string content = "{}";
  std::vector<std::string> auth = {};
  std::vector<std::string> prev = {};
  int64_t ts = 0;
  int64_t depth = 1;
  std::string redacts = {};  // an event id
};

class TestRoom final : public Source {
 public:
  explicit TestRoom(std::string_view version)
      : TestRoom(*events::find_room_version(version), RoomId::trusted("!room:a.example")) {}
  TestRoom(const events::RoomVersionRules& rules, RoomId room_id)
      : rules_(std::make_unique<events::RoomVersionRules>(rules)) {
    if (!rules_->room_id_is_create_hash) room_id_ = std::move(room_id);
  }

  // Makes an event without adding it to the room.
  Result<events::EventPtr> make(const std::string& name, const TestEvent& what) {
    events::EventDraft draft;
    if (what.type != "m.room.create" || !rules_->room_id_is_create_hash) draft.room_id = room_id_;
    draft.sender = UserId::trusted(what.sender);
    draft.type = what.type;
    draft.state_key = what.state_key;
    POLDER_TRY(draft.content, json::parse_object(what.content));
    for (const std::string& auth : what.auth)
      draft.auth_events.push_back(id(auth));
    for (const std::string& prev : what.prev)
      draft.prev_events.push_back(id(prev));
    if (!what.redacts.empty()) draft.redacts = EventId::trusted(what.redacts);
    draft.depth = what.depth;
    draft.origin_server_ts = what.ts;
    json::Object pdu = events::make_pdu(draft, *rules_, name);
    pdu.set("hashes", json::object({{"sha256", std::string(43, 'A')}}));
    pdu.set("signatures",
            json::object({{"a.example", json::object({{"ed25519:1", std::string(86, 'A')}})}}));
    return events::Event::parse(std::move(pdu), *rules_);
  }

  EventNumber add(const std::string& name, const TestEvent& what) {
    auto made = make(name, what);
    EXPECT_TRUE(made.ok()) << name << ": " << (made.ok() ? "" : made.error().message);
    if (!made.ok()) return 0;
    if (what.type == "m.room.create" && room_id_.empty()) room_id_ = (*made)->room_id();
    std::vector<EventNumber> auth;
    for (const std::string& one : what.auth)
      auth.push_back(number(one));
    events_.push_back(*made);
    chains_.add(events_.size(), {what.type, what.state_key.value_or("")}, auth);
    auth_events_.push_back(std::move(auth));
    names_.push_back(name);
    by_name_[name] = events_.size();
    by_id_[(*made)->id()] = events_.size();
    return events_.size();
  }

  // Adds an event with the auth events that a state gives it.
  EventNumber add(const std::string& name, TestEvent what, const StateMap& state) {
    auto content = json::parse_object(what.content);
    std::optional<std::string_view> state_key;
    if (what.state_key) state_key = *what.state_key;
    for (const StateKey& key :
         auth_types_for(*rules_, what.type, what.sender, state_key, *content)) {
      if (auto found = state.find(key.view()); found != state.end())
        what.auth.push_back(name_of(found->second));
    }
    return add(name, what);
  }

  void reject(const std::string& name) { rejected_.insert(number(name)); }

  const events::RoomVersionRules& rules() const { return *rules_; }
  const RoomId& room_id() const { return room_id_; }
  EventNumber number(const std::string& name) const { return by_name_.at(name); }
  const events::EventPtr& get(const std::string& name) const { return get(number(name)); }
  const events::EventPtr& get(EventNumber number) const { return events_.at(number - 1); }
  const EventId& id(const std::string& name) const { return get(name)->id(); }
  const std::string& name_of(EventNumber number) const { return names_.at(number - 1); }
  const std::vector<EventNumber>& auth_of(EventNumber number) const {
    return auth_events_.at(number - 1);
  }
  bool rejected(EventNumber number) const { return rejected_.contains(number); }
  size_t size() const { return events_.size(); }

  void put(StateMap& state, EventNumber number) const {
    const events::Event& event = *get(number);
    state[{event.type(), *event.state_key()}] = number;
  }
  StateMap state(std::initializer_list<const char*> names) const {
    StateMap state;
    for (const char* name : names)
      put(state, number(name));
    return state;
  }
  // The names of a state's events, in the order of the alphabet.
  std::vector<std::string> names(const StateMap& state) const {
    std::vector<std::string> names;
    for (const auto& [key, number] : state)
      names.push_back(name_of(number));
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<events::EventPtr> event(EventNumber number) override {
    if (number == 0 || number > events_.size()) return fail(ErrorCode::kNotFound, "no such event");
    return get(number);
  }
  Result<std::optional<EventNumber>> number_of(const EventId& id) override {
    auto found = by_id_.find(id);
    if (found == by_id_.end()) return std::optional<EventNumber>();
    return std::optional(found->second);
  }
  Status auth_events(EventNumber number, std::vector<EventNumber>& out) override {
    if (number == 0 || number > events_.size()) return fail(ErrorCode::kNotFound, "no such event");
    out.insert(out.end(), auth_of(number).begin(), auth_of(number).end());
    return {};
  }
  Result<bool> is_rejected(EventNumber number) override { return rejected(number); }
  Result<ChainPlace> chain_place(EventNumber number) override {
    return chains_.chain_place(number);
  }
  const MemoryChains& chains() const { return chains_; }

 private:
  std::unique_ptr<events::RoomVersionRules> rules_;  // where the events can refer to it
  RoomId room_id_;
  std::vector<events::EventPtr> events_;
  std::vector<std::vector<EventNumber>> auth_events_;
  std::vector<std::string> names_;
  std::map<std::string, EventNumber> by_name_;
  std::map<EventId, EventNumber> by_id_;
  std::set<EventNumber> rejected_;
  MemoryChains chains_;
};

}  // namespace polder::dag
