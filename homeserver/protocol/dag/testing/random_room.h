// A room that grows at random from a seed, for tests that compare resolutions.
#pragma once

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "homeserver/base/crypto/keys.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/values/bytes.h"
#include "homeserver/protocol/dag/authorise.h"
#include "homeserver/protocol/dag/state_resolution.h"
#include "homeserver/protocol/dag/testing/room.h"
#include "homeserver/protocol/events/signing.h"

namespace polder::dag {

inline const std::vector<std::string> kUsers = {"@alice:a.example", "@bob:b.example",
                                                "@carol:c.example", "@dan:d.example"};

// What a room version does not know lets nobody in.
inline const std::vector<std::string> kJoinRules = {"public", "public",     "invite",
                                                    "knock",  "restricted", "knock_restricted"};

// A room whose events fork and merge. Each event is allowed by the state of its fork; now and then
// that is an outdated state, as a hostile or confused server would give.
class RandomRoom {
 public:
  RandomRoom(const char* version, unsigned seed) : room_(version), random_(seed) {
    const std::string alice = kUsers[0];
    StateMap state;
    grow(state, {.sender = alice,
                 .type = "m.room.create",
                 .state_key = "",
                 .content = R"({"creator":"@alice:a.example"})"});
    grow(state, member(alice, alice, "join"));
    grow(state, levels(alice));
    grow(state, join_rule(alice, "public"));
    states_.push_back(state);
  }

  void grow_by(int events) {
    for (int i = 0; i < events; ++i) {
      StateMap state = states_[pick(states_.size())];
      if (pick(3) == 0) {
        std::vector<StateMap> merged = {state, states_[pick(states_.size())]};
        state = *resolve(room_.rules(), merged, room_);
      }
      if (grow(state, any_event())) states_.push_back(std::move(state));
    }
  }

  // Some states of the room, each followed by a mistake where `outdated`: an older event of a key.
  std::vector<StateMap> some_states(bool outdated) {
    std::vector<StateMap> some;
    for (size_t i = 0, count = 2 + pick(3); i < count; ++i) {
      StateMap state = states_[pick(states_.size())];
      if (outdated) {
        const StateMap& older = states_[pick(states_.size())];
        for (auto& [key, number] : state) {
          auto found = older.find(key);
          if (found != older.end() && pick(3) == 0) number = found->second;
        }
      }
      some.push_back(std::move(state));
    }
    return some;
  }

  // Some events turn out to have been rejected, as if another server had taken them for good. Never
  // the create event, nor a join rule: where rejection leaves none, ruma-state-res refuses joins,
  // but the rule is "invite" by the specification.
  void reject_some() {
    for (size_t i = 0; i < 3; ++i) {
      const std::string& name = room_.name_of(1 + pick(room_.size()));
      const events::Event& event = *room_.get(name);
      if (!event.is("m.room.create") && !event.is("m.room.join_rules")) room_.reject(name);
    }
  }

  TestRoom& room() { return room_; }
  std::mt19937& random() { return random_; }
  size_t pick(size_t count) { return std::uniform_int_distribution<size_t>(0, count - 1)(random_); }

 private:
  TestEvent member(const std::string& sender, const std::string& target, const std::string& to) {
    return {.sender = sender,
            .type = "m.room.member",
            .state_key = target,
            .content = R"({"membership":")" + to + R"("})"};
  }
  TestEvent join_rule(const std::string& sender, const std::string& rule) {
    return {.sender = sender,
            .type = "m.room.join_rules",
            .state_key = "",
            .content = R"({"join_rule":")" + rule + R"("})"};
  }
  TestEvent levels(const std::string& sender) {
    std::string users;
    const bool v12 = room_.rules().room_id_is_create_hash;
    for (size_t i = v12 ? 1 : 0; i < kUsers.size(); ++i) {
      std::string level = i == 0 ? "100" : std::to_string(25 * pick(5));
      users += (users.empty() ? "\"" : ",\"") + kUsers[i] + "\":" + level;
    }
    return {.sender = sender,
            .type = "m.room.power_levels",
            .state_key = "",
            .content = R"({"users":{)" + users + "}}"};
  }
  // Lets somebody in whom an identity server will know by the token.
  TestEvent third_party_invite(const std::string& sender, const std::string& token) {
    const std::string key = identity_key(pick(4) == 0).verify_key().to_base64();
    return {.sender = sender,
            .type = "m.room.third_party_invite",
            .state_key = token,
            .content = R"({"public_key":")" + key + R"("})"};
  }
  TestEvent invite_by_token(const std::string& sender, const std::string& target,
                            const std::string& token) {
    json::Object signed_part{{"mxid", target}, {"token", token}};
    events::sign_json(signed_part, "id.example", identity_key(false));
    TestEvent event = member(sender, target, "invite");
    event.content = json::write(json::Object{
        {"membership", "invite"}, {"third_party_invite", json::object({{"signed", signed_part}})}});
    return event;
  }
  static crypto::SigningKey identity_key(bool other) {
    const std::string seed(32, other ? 'b' : 'a');
    return *crypto::SigningKey::from_seed(KeyId::trusted("ed25519:0"),
                                          base::base64_encode(as_bytes(seed)));
  }
  TestEvent restricted_join(const std::string& sender, const std::string& authorised_by) {
    TestEvent event = member(sender, sender, "join");
    event.content =
        R"({"membership":"join","join_authorised_via_users_server":")" + authorised_by + R"("})";
    return event;
  }
  TestEvent any_event() {
    const std::string& sender = kUsers[pick(kUsers.size())];
    const std::string& target = kUsers[pick(kUsers.size())];
    const std::string token = "token" + std::to_string(pick(2));
    switch (pick(14)) {
      case 0:
      case 1:
      case 2:
        return member(sender, sender, "join");
      case 3:
        return member(sender, target, "leave");
      case 4:
        return member(sender, target, "ban");
      case 5:
        return member(sender, target, "invite");
      case 6:
        return member(sender, sender, "knock");
      case 7:
        return restricted_join(sender, target);
      case 8:
        return third_party_invite(sender, token);
      case 9:
        return invite_by_token(sender, target, token);
      case 10:
        return levels(sender);
      case 11:
      case 12:
        return join_rule(sender, kJoinRules[pick(kJoinRules.size())]);
      default:
        return {.sender = sender, .type = "m.room.topic", .state_key = ""};
    }
  }

  bool grow(StateMap& state, TestEvent event) {
    const size_t next = room_.size() + 1;
    event.ts = static_cast<int64_t>(pick(30));
    if (next == 2) event.prev = {"e1"};  // the creator's join
    event.depth = static_cast<int64_t>(next);
    event.content.insert(event.content.size() - 1,
                         (event.content == "{}" ? "\"n\":" : ",\"n\":") + std::to_string(next));
    std::vector<events::EventPtr> current;
    for (const auto& [key, number] : state)
      current.push_back(room_.get(number));
    auto made = room_.make("e" + std::to_string(next), event);
    if (!made.ok() || !authorise(**made, EventListState(current)).ok()) return false;
    room_.put(state, room_.add("e" + std::to_string(next), event, state));
    return true;
  }

  TestRoom room_;
  std::mt19937 random_;
  std::vector<StateMap> states_;
};

}  // namespace polder::dag
