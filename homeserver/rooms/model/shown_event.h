// What of an event clients are shown that is the same for all of them, made once and spliced into
// every answer that holds the event (docs/architecture.md: store once, encode once).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "homeserver/rooms/model/room_view.h"

namespace polder::rooms {

// A value, immutable. Small: there are many.
class ShownEvent {
 public:
  // Of events as they are visible. `replaced`: that whose place in the state this one took; null if
  // there is none. `as_of`: RoomHead::rewrites of the head that was there before the records were
  // read.
  struct Replaced {
    EventNumber number = 0;
    HeldEvent event;
  };
  ShownEvent(const HeldEvent& held, const Replaced* replaced, uint64_t as_of);

  // events::client_head() of the event as it is visible: without what was redacted when this was
  // made.
  std::string_view head() const { return part(kHead); }
  // Members of `unsigned`, each after a comma: prev_content, prev_sender, replaces_state. Empty if
  // it replaced nothing.
  std::string_view replaced() const { return part(kReplaced); }
  std::string_view id() const { return part(kId); }
  std::string_view sender() const { return part(kSender); }
  std::string_view type() const { return part(kType); }
  bool is_state() const { return is_state_; }
  std::string_view state_key() const { return part(kStateKey); }  // of state
  bool is_state(std::string_view type, std::string_view key) const {
    return is_state_ && part(kType) == type && part(kStateKey) == key;
  }
  bool contains_url() const { return contains_url_; }
  // The redactions by which it was made; 0: none. A redaction that came since makes it old.
  EventNumber redaction() const { return redaction_; }
  EventNumber replaced_number() const { return replaced_number_; }  // 0: none
  EventNumber replaced_redaction() const { return replaced_redaction_; }
  stores::Membership membership() const { return membership_; }  // of a member event

  int64_t origin_server_ts() const { return origin_server_ts_; }
  kv::Position position() const { return position_; }
  int64_t depth() const { return depth_; }
  const stores::Standing& standing() const { return standing_; }
  const stores::StateRoot& state_before() const { return state_before_; }
  const stores::StateRoot& state_after() const { return state_after_; }
  // The room's current state once the event was there.
  const stores::StateRoot& room_state() const { return room_state_; }

  uint64_t as_of() const { return as_of_; }
  size_t bytes() const { return sizeof(*this) + text_.capacity(); }

 private:
  enum Part : uint8_t { kHead, kReplaced, kId, kSender, kType, kStateKey, kParts };
  struct Span {
    uint32_t begin = 0;
    uint32_t size = 0;
  };

  std::string_view part(Part which) const {
    return std::string_view(text_).substr(spans_[which].begin, spans_[which].size);
  }
  void add(Part which, std::string_view text);
  void add_found(Part which, std::string_view text);

  std::string text_;
  std::array<Span, kParts> spans_;
  int64_t origin_server_ts_ = 0;
  kv::Position position_ = 0;
  int64_t depth_ = 0;
  stores::Standing standing_;
  stores::StateRoot state_before_, state_after_, room_state_;
  uint64_t as_of_ = 0;
  EventNumber redaction_ = 0, replaced_number_ = 0, replaced_redaction_ = 0;
  stores::Membership membership_ = stores::Membership::kNone;
  bool is_state_ = false;
  bool contains_url_ = false;
};
using ShownEventPtr = std::shared_ptr<const ShownEvent>;

}  // namespace polder::rooms
