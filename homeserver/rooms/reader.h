// Reading a room without entering its shard: a snapshot, the room's head, and what a user may see
// of it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/rooms/engine.h"

namespace polder::json {
class Writer;
}

namespace polder::rooms {

// The end of the last time that a user was a member.
struct LastStay {
  stores::DepthPlace end;   // of the event that ended it
  stores::StateRoot state;  // after that
};

// Who reads, and how their events are marked.
struct ReaderOf {
  UserId user;
  stores::UserNumber number = 0;
  stores::MembershipRow membership;  // in this room, by the current state
  // Of who was a member and is none now, whatever happened since: invites, bans.
  std::optional<LastStay> last_stay = {};
};

// Synchronous; on the pool. Lives for one request.
class RoomReader {
 public:
  // The snapshot is taken here: what a head names is there only in snapshots that are newer.
  RoomReader(const RoomEngine& engine, RoomHeadPtr head);
  RoomReader(const RoomReader&) = delete;
  RoomReader& operator=(const RoomReader&) = delete;

  const RoomHead& head() const { return *head_; }
  const kv::Snapshot& snapshot() const { return *snapshot_; }
  const RoomView& view() const { return view_; }
  RoomView& view() { return view_; }

  // The user's place in the room; of a user who never was here, none.
  Result<ReaderOf> reader(const UserId& user) const;

  Result<events::EventPtr> state_event(stores::StateRoot root, std::string_view type,
                                       std::string_view key) const {
    return view_.state_event(root, type, key);
  }
  // Every event of a state; or those of one type.
  Status for_each_state(stores::StateRoot root, std::optional<std::string_view> type,
                        const std::function<void(EventNumber, const HeldEvent&)>& visit) const;
  // The events of a state that tell who is not in the room what it is, the create event first: what
  // stripped state is made of. https://spec.matrix.org/v1.19/client-server-api/#stripped-state
  Result<std::vector<events::EventPtr>> stripped_events(stores::StateRoot root) const;
  Result<stores::Membership> membership_at(stores::StateRoot root, std::string_view user) const;

  // Whether the user is joined and has the power to send state of the type now.
  Result<bool> may_send_state(const UserId& user, std::string_view type) const;

  // What m.room.history_visibility says; "shared" if it says nothing that is known.
  Result<std::string_view> visibility_at(stores::StateRoot root) const;
  // https://spec.matrix.org/v1.19/client-server-api/#server-behaviour-5 (history visibility)
  Result<bool> visible(const ReaderOf& reader, const HeldEvent& event) const;
  // The state that the reader may see: the current one for members, the one when they left for
  // others. kForbidden for who never was a member of a room that is not world readable.
  Result<stores::StateRoot> visible_state(const ReaderOf& reader) const;
  // https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate: whether
  // the account of the event's sender was erased, so that whoever was no member at the event gets
  // it redacted. Of state only memberships count: a room keeps its name.
  Result<bool> is_erased(const events::Event& event) const;

  struct ClientOptions {
    bool with_room_id = true;
    std::string_view transaction_id = {};  // for the device that sent it
    bool bundle = true;                    // with what other events say about it
    bool redacted = false;                 // as if it had been redacted
  };
  // The event as a client gets it: head, room id, unsigned.
  Result<std::string> client_event(const ReaderOf& reader, EventNumber number,
                                   const HeldEvent& event, const ClientOptions& options) const;

 private:
  struct Shown {
    stores::Membership membership = stores::Membership::kNone;  // of the reader, at the event
    std::optional<EventNumber> redaction;
    bool redacted = false;  // for whatever reason
  };
  Result<std::optional<LastStay>> last_stay(const UserId& user, EventNumber membership) const;
  Result<Shown> shown(const ReaderOf& reader, EventNumber number, const HeldEvent& event,
                      const ClientOptions& options) const;
  Result<std::string> unsigned_of(const ReaderOf& reader, const HeldEvent& event,
                                  const ClientOptions& options, const Shown& shown) const;
  Status write_replaced(json::Writer& writer, const HeldEvent& event, const Shown& shown) const;

  const RoomEngine& engine_;
  std::shared_ptr<const kv::Snapshot> snapshot_;
  RoomHeadPtr head_;
  RoomContent content_;
  RoomView view_;
};

}  // namespace polder::rooms
