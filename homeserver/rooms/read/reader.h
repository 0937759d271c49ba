// Reading a room without entering its shard: a snapshot, the room's head, and what a user may see
// of it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/rooms/model/ignored.h"
#include "homeserver/rooms/model/shown_event.h"
#include "homeserver/rooms/model/source.h"
#include "storage/stores/rooms/relation_rows.h"

namespace polder::rooms {

using stores::Membership;

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
  std::shared_ptr<const IgnoredUsers> ignored = {};  // null: nobody

  // Whether an event that is no invite is left out for this reader, and out of what is said of
  // other events.
  bool hides(std::string_view sender, bool is_state) const {
    return ignored && ignored->hides(sender, is_state);
  }
};

// Synchronous; on the pool. Lives for one request.
class RoomReader {
 public:
  // The snapshot is taken here: what a head names is there only in snapshots that are newer.
  RoomReader(const RoomSource& rooms, RoomHeadPtr head);
  // The snapshot was taken after the head.
  RoomReader(const RoomSource& rooms, RoomHeadPtr head,
             std::shared_ptr<const kv::Snapshot> snapshot);
  RoomReader(const RoomReader&) = delete;
  RoomReader& operator=(const RoomReader&) = delete;

  const RoomHead& head() const { return *head_; }
  // Entries of the timeline with from < position <= to, newest first; the newest of all are in
  // memory.
  Result<std::vector<stores::TimelineEntry>> timeline_backwards(kv::Position from, kv::Position to,
                                                                size_t limit) const;
  const kv::Snapshot& snapshot() const { return *snapshot_; }
  // Everything read through it is as redactions left it.
  const RoomView& view() const { return view_; }
  // Events as they were sent, for what goes by that: the rules, and what relates to what. Nothing
  // of it is shown to anybody. Borrows the reader.
  RoomView as_sent() const { return RoomView(content_, *snapshot_, rooms_.names, rooms_.caches); }

  // The user's place in the room; of a user who never was here, none.
  Result<ReaderOf> reader(const UserId& user) const;

  Result<events::EventPtr> state_event(stores::StateRoot root, std::string_view type,
                                       std::string_view key) const {
    return view_.state_event(root, type, key);
  }
  // The events of a state, or those of one type, in no order that tells anything.
  Result<std::vector<EventNumber>> state_events(stores::StateRoot root,
                                                std::optional<std::string_view> type) const;
  // The same, each read: all of them are in memory at the end.
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
  Result<bool> visible(const ReaderOf& reader, const ShownEvent& event) const;
  // Whether the reader may see what the room was at an event, too. Not who sees it only because it
  // is about themselves: an invite that they declined.
  Result<bool> sees_room_at(const ReaderOf& reader, const HeldEvent& event) const;
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
  // The same, appended to `out`.
  Status append_client_event(const ReaderOf& reader, EventNumber number, const ShownEvent& event,
                             const ClientOptions& options, std::string& out) const;

  Result<bool> is_redacted(EventNumber number) const;
  // Whether any event relates to it.
  Result<bool> is_related_to(const EventId& event) const { return relations_.any(event); }

  // An event as it is shown; kept for whoever else will be shown it.
  Result<ShownEventPtr> shown(EventNumber number) const;

 private:
  // What decides who may see an event.
  struct Seen {
    stores::StateRoot state_before, state_after;
    kv::Position position = 0;
    int64_t depth = 0;
    stores::Standing standing;
    bool sets_visibility = false;
    bool is_own_membership = false;
    Membership membership = Membership::kNone;  // that it gives, if it is one
  };
  // What one key of the state leads to, in the state that was asked about last: most events in a
  // row have the same.
  struct Remembered {
    bool asked = false;
    std::optional<stores::StateKey> key;
    stores::StateRoot root;
    EventNumber event = 0;  // 0: none
  };
  // How a reader is shown an event.
  struct Presentation {
    Membership membership = Membership::kNone;  // theirs, at the event
    bool redacted = false;                      // for whatever reason
  };

  Result<std::optional<LastStay>> last_stay(const UserId& user, EventNumber membership) const;
  Result<EventNumber> entry_at(Remembered& remembered, stores::StateRoot root,
                               std::string_view type, std::string_view key) const;
  Result<Membership> own_membership_at(stores::StateRoot root, const ReaderOf& reader) const;
  static Seen seen_of(const ReaderOf& reader, const HeldEvent& event);
  Result<bool> may_see(const ReaderOf& reader, const Seen& event) const;
  Result<bool> ends_own_asking(const ReaderOf& reader, const Seen& event) const;
  Result<bool> history_allows(const ReaderOf& reader, const Seen& event) const;
  Result<bool> is_erased(std::string_view sender) const;
  Result<ShownEventPtr> make_shown(const HeldEvent& event) const;
  Result<bool> is_as_visible(EventNumber number, const ShownEvent& event) const;
  Result<Presentation> presentation(const ReaderOf& reader, const ShownEvent& event,
                                    const ClientOptions& options) const;
  Status append_replaced(const ShownEvent& event, Membership membership, std::string& out) const;
  Status append_unsigned(const ReaderOf& reader, EventNumber number, const ShownEvent& event,
                         const ClientOptions& options, const Presentation& shown_as,
                         std::string& out) const;

  const RoomSource& rooms_;
  std::shared_ptr<const kv::Snapshot> snapshot_;
  RoomHeadPtr head_;
  RoomContent content_;
  RoomView view_;
  mutable Remembered visibility_, own_;
  mutable UserId own_user_;  // whom own_ is about
  mutable EventNumber own_event_ = 0;
  mutable Membership own_membership_ = Membership::kNone;  // by own_event_
  mutable stores::RedactionLookup redactions_, replaced_redactions_;
  mutable stores::RelationLookup relations_;
};

}  // namespace polder::rooms
