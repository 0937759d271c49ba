// Any content of the events that rules read: the rules answer with leave or with a refusal that
// names a rule, the same each time, and ask for no state but what the auth events selection names.
//
// The input is a byte that picks the room version, one that picks the event's type, and lines of
// JSON: the contents of the create event, the power levels, the join rules, the target's membership
// and the event itself.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "homeserver/base/json/parse.h"
#include "homeserver/protocol/dag/auth_events.h"
#include "homeserver/protocol/dag/authorise.h"

namespace polder::dag {
namespace {

constexpr const char* kAlice = "@alice:a.example";
constexpr const char* kBob = "@bob:b.example";

void require(bool condition) {
  if (!condition) std::abort();
}

std::string_view take_line(std::string_view& text) {
  std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

// Reads the content of the next line, or none; null if the event's format is not that of a PDU.
events::EventPtr make(std::string_view& text, const events::RoomVersionRules& rules,
                      const RoomId& room_id, const char* type, const char* sender,
                      const char* state_key) {
  events::EventDraft draft;
  auto content = json::parse_object(take_line(text));
  if (content.ok()) draft.content = *std::move(content);
  draft.room_id = room_id;
  draft.sender = UserId::trusted(sender);
  draft.type = type;
  draft.state_key = state_key;
  json::Object pdu = events::make_pdu(draft, rules, type);
  pdu.set("hashes", json::object({{"sha256", std::string(43, 'A')}}));
  pdu.set("signatures",
          json::object({{"a.example", json::object({{"ed25519:1", std::string(86, 'A')}})}}));
  auto event = events::Event::parse(std::move(pdu), rules);
  return event.ok() ? *event : nullptr;
}

// A state that accepts questions about certain keys only.
class WatchedState final : public AuthState {
 public:
  WatchedState(const EventListState& state, std::vector<StateKey> keys)
      : state_(state), keys_(std::move(keys)) {
    keys_.push_back({"m.room.create", ""});
  }
  Result<const events::Event*> find(events::StateKeyView key) const override {
    require(std::any_of(keys_.begin(), keys_.end(),
                        [&](const StateKey& known) { return known.view() == key; }));
    return state_.find(key);
  }

 private:
  const EventListState& state_;
  std::vector<StateKey> keys_;
};

void check(std::string_view text) {
  constexpr std::array kTypes = {"m.room.create",       "m.room.member",
                                 "m.room.power_levels", "m.room.join_rules",
                                 "m.room.aliases",      "m.room.third_party_invite"};
  if (text.size() < 2) return;
  const auto versions = events::room_versions();
  const auto& rules = versions[static_cast<unsigned char>(text[0]) % versions.size()];
  const char* type = kTypes[static_cast<unsigned char>(text[1]) % kTypes.size()];
  text.remove_prefix(2);

  const RoomId given = rules.room_id_is_create_hash ? RoomId() : RoomId::trusted("!room:a.example");
  const auto create = make(text, rules, given, "m.room.create", kAlice, "");
  if (!create) return;
  const RoomId room_id = create->room_id();
  std::vector<events::EventPtr> state = {create};
  state.push_back(make(text, rules, room_id, "m.room.power_levels", kAlice, ""));
  state.push_back(make(text, rules, room_id, "m.room.join_rules", kAlice, ""));
  state.push_back(make(text, rules, room_id, "m.room.member", kAlice, kBob));
  std::string_view joined = R"({"membership":"join"})";
  state.push_back(make(joined, rules, room_id, "m.room.member", kAlice, kAlice));
  std::erase(state, nullptr);
  const bool is_create = std::string_view(type) == "m.room.create";
  const char* key = std::string_view(type) == "m.room.member" ? kBob : "";
  for (const char* sender : {kAlice, kBob}) {
    std::string_view line = text;
    const auto event = make(line, rules, is_create ? given : room_id, type, sender, key);
    if (!event) continue;
    const auto keys = auth_types_for(*event);
    require(keys.size() <= events::kMaxAuthEvents);
    const EventListState held(state);
    const Status status = authorise(*event, WatchedState(held, keys));
    require(status.ok() || (status.error().code == ErrorCode::kForbidden &&
                            status.error().message.starts_with("rule ")));
    require(authorise(*event, held).ok() == status.ok());
  }
}

}  // namespace
}  // namespace polder::dag

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  polder::dag::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
