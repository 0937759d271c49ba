#include "homeserver/rooms/model/shown_event.h"

#include "homeserver/base/json/write.h"
#include "homeserver/protocol/events/client_format.h"

namespace polder::rooms {
namespace {

std::string replaced_members(const events::Event& replaced) {
  std::string text = ",\"prev_content\":";
  json::write_to(replaced.content(), text);
  text.append(",\"prev_sender\":");
  json::write_string_to(replaced.sender().view(), text);
  text.append(",\"replaces_state\":");
  json::write_string_to(replaced.id().view(), text);
  return text;
}

}  // namespace

ShownEvent::ShownEvent(const HeldEvent& held, const Replaced* replaced, uint64_t as_of)
    : origin_server_ts_(held.event->origin_server_ts()),
      position_(held.record.position),
      depth_(held.record.depth),
      standing_(held.record.standing),
      state_before_(held.record.state_before),
      state_after_(held.record.state_after),
      room_state_(held.record.room_state.value_or(held.record.state_after)),
      as_of_(as_of),
      redaction_(held.redaction.value_or(0)),
      is_state_(held.event->is_state()),
      contains_url_(held.event->content().contains("url")) {
  const events::Event& event = *held.event;
  if (event.is("m.room.member")) membership_ = stores::membership_from(event.membership());
  add(kHead, events::client_head(event, false));
  if (replaced != nullptr) {
    replaced_number_ = replaced->number;
    replaced_redaction_ = replaced->event.redaction.value_or(0);
    add(kReplaced, replaced_members(*replaced->event.event));
  }
  add_found(kId, event.id().view());
  add_found(kSender, event.sender().view());
  add_found(kType, event.type());
  if (event.is_state()) add_found(kStateKey, *event.state_key());
  text_.shrink_to_fit();
}

void ShownEvent::add(Part which, std::string_view text) {
  spans_[which] = {static_cast<uint32_t>(text_.size()), static_cast<uint32_t>(text.size())};
  text_.append(text);
}

// Where these bytes stand already, they need not stand again: mostly, JSON has them as they are.
void ShownEvent::add_found(Part which, std::string_view text) {
  const size_t place = text_.find(text);
  if (place == std::string::npos) return add(which, text);
  spans_[which] = {static_cast<uint32_t>(place), static_cast<uint32_t>(text.size())};
}

}  // namespace polder::rooms
