#include "tests/simulation/hostile.h"

#include <array>

#include "homeserver/protocol/events/signing.h"
#include "homeserver/rooms/read/reader.h"

namespace polder::simulation {

// A room as a hostile server sees it, and events of its user there.
class HostileRoom {
 public:
  HostileRoom(History& history, size_t server, const User& user, rooms::RoomHeadPtr head)
      : history_(history),
        server_(server),
        user_(UserId::trusted(user.id)),
        head_(std::move(head)),
        reader_(history.world().homeserver(server).rooms().source(), head_) {}

  const UserId& user() const { return user_; }

  events::EventPtr event(rooms::EventNumber number) const {
    return reader_.view().load(number)->event;
  }
  // One that has its place in the room, from the first to the last.
  std::optional<rooms::EventNumber> any_event() const {
    for (int i = 0; i < 10; ++i) {
      const rooms::EventNumber number = 1 + history_.below(head_->record.last_event);
      const auto record = reader_.view().record(number);
      if (record.ok() && !record->standing.outlier) return number;
    }
    return std::nullopt;
  }
  rooms::EventNumber edge() const { return head_->record.extremities.back(); }

  // On top of an event, with the auth events that its state has.
  events::EventDraft draft_on(rooms::EventNumber number, std::string type,
                              std::optional<std::string> state_key, json::Object content) const {
    const auto held = reader_.view().load(number);
    events::EventDraft draft{head_->record.id, user_, std::move(type), std::move(state_key),
                             std::move(content)};
    draft.prev_events.push_back(held->event->id());
    draft.depth = held->event->depth() + 1;
    draft.origin_server_ts = static_cast<int64_t>(history_.below(4'000'000'000'000));
    for (const auto& [event_type, key] :
         {std::pair<std::string_view, std::string_view>("m.room.create", ""),
          {"m.room.power_levels", ""},
          {"m.room.member", user_.view()}}) {
      if (event_type == "m.room.create" && head_->rules->room_id_is_create_hash) continue;
      const auto auth = reader_.state_event(held->record.state_after, event_type, key);
      if (auth.ok() && *auth) draft.auth_events.push_back((*auth)->id());
    }
    return draft;
  }
  std::string sign(const events::EventDraft& draft) const {
    const rooms::RoomEngine& rooms = history_.world().homeserver(server_).rooms();
    json::Object pdu = events::make_pdu(draft, *head_->rules, "hostile");
    events::hash_and_sign(pdu, *head_->rules, rooms.source().own_name, rooms.writer.signing_key());
    return json::write(pdu);
  }
  EventId id_of(const std::string& pdu) const {
    return (*events::Event::parse(pdu, *head_->rules))->id();
  }
  void send_to(size_t other, std::vector<std::string> pdus) const {
    history_.world().send_pdus(server_, other, std::move(pdus));
  }
  void send_to_all(const std::vector<std::string>& pdus) const {
    for (size_t i = 0; i < history_.plan().servers; ++i)
      if (i != server_) send_to(i, pdus);
  }
  void send_to_any(std::vector<std::string> pdus) const {
    const size_t others = history_.plan().servers - 1;
    send_to((server_ + 1 + history_.below(others)) % history_.plan().servers, std::move(pdus));
  }

 private:
  History& history_;
  const size_t server_;
  const UserId user_;
  const rooms::RoomHeadPtr head_;
  const rooms::RoomReader reader_;
};

namespace {

json::Object note(History& history) {
  return {{"note", "hostile " + std::to_string(history.below(1000))}};
}

// Power that somebody had once, or never, from an old place in the room.
void backdate_power_levels(History&, HostileRoom& room) {
  const auto old = room.any_event();
  if (!old) return;
  json::Object users{{room.user().str(), 100}};
  room.send_to_all({room.sign(room.draft_on(*old, "m.room.power_levels", "", {{"users", users}}))});
}

void forge_auth_events(History& history, HostileRoom& room) {
  events::EventDraft draft = room.draft_on(room.edge(), "org.example.note",
                                           std::to_string(history.below(3)), note(history));
  draft.auth_events.clear();
  for (int i = 0; i < 3; ++i) {
    if (const auto number = room.any_event())
      draft.auth_events.push_back(room.event(*number)->id());
  }
  room.send_to_all({room.sign(draft)});
}

// One thing to one server, and another to the others.
void equivocate(History& history, HostileRoom& room) {
  const std::string key = std::to_string(history.below(3));
  for (size_t i = 0; i < history.plan().servers; ++i)
    room.send_to(i,
                 {room.sign(room.draft_on(room.edge(), "org.example.note", key, note(history)))});
}

void flood(History& history, HostileRoom& room) {
  std::vector<std::string> pdus;
  for (int i = 0; i < 30; ++i)
    pdus.push_back(room.sign(
        room.draft_on(room.edge(), "m.room.message", std::nullopt, {{"body", std::to_string(i)}})));
  history.one_in(2) ? room.send_to_all(pdus) : room.send_to_any(pdus);
}

// The event between is never told.
void withhold(History& history, HostileRoom& room) {
  const std::string first =
      room.sign(room.draft_on(room.edge(), "org.example.note", "0", note(history)));
  events::EventDraft draft =
      room.draft_on(room.edge(), "m.room.message", std::nullopt, {{"body", "withheld"}});
  draft.prev_events = {room.id_of(first)};
  ++draft.depth;
  room.send_to_any({room.sign(draft)});
}

// On top of what nobody gets: whoever asks for the state there may be told an old one, and what it
// would allow is already sent.
void build_on_stale_state(History& history, HostileRoom& room) {
  const std::string first =
      room.sign(room.draft_on(room.edge(), "m.room.message", std::nullopt, note(history)));
  const auto old = room.any_event();
  if (!old) return;
  events::EventDraft draft = room.draft_on(*old, "org.example.note", "2", note(history));
  draft.prev_events = {room.id_of(first)};
  draft.depth = room.event(room.edge())->depth() + 2;
  room.send_to_all({room.sign(draft)});
}

void speak_for_others(History& history, HostileRoom& room) {
  events::EventDraft draft = room.draft_on(room.edge(), "org.example.note", "1", note(history));
  draft.sender = UserId::trusted(history.users().front()->id);
  room.send_to_all({room.sign(draft)});
}

// Own members, banned ones among them, go on from before they were.
void return_to_the_past(History& history, HostileRoom& room) {
  const auto old = room.any_event();
  if (!old) return;
  room.send_to_any(
      {room.sign(room.draft_on(*old, "m.room.member", room.user().str(),
                               {{"membership", history.one_in(2) ? "join" : "leave"}}))});
}

constexpr auto kMisdeeds = std::to_array<Misdeed>({
    {"backdate_power_levels", 3, backdate_power_levels},
    {"forge_auth_events", 3, forge_auth_events},
    {"equivocate", 3, equivocate},
    {"flood", 2, flood},
    {"withhold", 2, withhold},
    {"build_on_stale_state", 2, build_on_stale_state},
    {"speak_for_others", 2, speak_for_others},
    {"return_to_the_past", 2, return_to_the_past},
});

}  // namespace

std::span<const Misdeed> misdeeds() {
  return kMisdeeds;
}

void misbehave(History& history, size_t server) {
  if (!history.world().is_up(server)) return;
  for (const auto& user : history.users()) {
    if (user->server != server) continue;
    const std::string id = history.room_with(*user, "join");
    if (id.empty()) continue;
    const auto head = history.world().homeserver(server).rooms().source().head(RoomId::trusted(id));
    if (!head.ok() || !*head || (*head)->record.extremities.empty()) continue;
    HostileRoom room(history, server, *user, *head);
    const Misdeed& misdeed = pick(history.world().random(), misdeeds());
    history.world().simulation().trace(misdeed.name);
    misdeed.commit(history, room);
    return;
  }
}

}  // namespace polder::simulation
