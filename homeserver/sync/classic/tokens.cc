#include "homeserver/sync/classic/tokens.h"

#include "storage/stores/rooms/partial_rows.h"

#include <algorithm>
#include <charconv>

namespace polder::sync {
namespace {

// The parts of a token besides the position, in order; later ones may be missing.
constexpr uint64_t StreamToken::* kParts[] = {&StreamToken::typing_changes, &StreamToken::to_device,
                                              &StreamToken::owed_from};

template <class T>
bool take_number(std::string_view& text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

Result<HistoryPosition> stream_position(const rooms::RoomReader& reader, kv::Position position,
                                        Direction direction) {
  const kv::Snapshot& snapshot = reader.snapshot();
  const stores::RoomNumber room = reader.head().number;
  HistoryPosition place;
  place.told_from = position + 1;
  POLDER_TRY(const auto last, reader.timeline_backwards(0, position, 1));
  if (!last.empty()) {
    POLDER_TRY(const auto record, reader.view().record(last[0].number));
    place.place = {record.room_depth, kv::kLastPosition};
  }
  if (direction == Direction::kForwards) return place;
  // What another server sent meanwhile lies deeper than all that was here, up to the event that
  // came.
  POLDER_TRY(const auto next,
             stores::read_timeline_forwards(snapshot, room, position, kv::kLastPosition, 1));
  if (!next.empty()) {
    POLDER_TRY(const auto record, reader.view().record(next[0].number));
    place.place = {std::max(place.place.depth, record.depth), kv::kLastPosition};
  }
  return place;
}

}  // namespace

std::string stream_token(kv::Position position) {
  return "s1_" + std::to_string(position);
}

std::string stream_token(const StreamToken& token) {
  std::string text = stream_token(token.position);
  for (const uint64_t StreamToken::* part : kParts) {
    if (part == &StreamToken::owed_from && token.owed_from == 0) break;
    text += "_" + std::to_string(token.*part);
  }
  return text;
}

std::optional<StreamToken> parse_stream_token(std::string_view token) {
  StreamToken parsed;
  if (!token.starts_with("s1_")) return std::nullopt;
  token.remove_prefix(3);
  if (!take_number(token, parsed.position)) return std::nullopt;
  parsed.to_device = parsed.position;
  for (uint64_t StreamToken::* part : kParts) {
    if (token.empty()) return parsed;
    if (!token.starts_with('_')) return std::nullopt;
    token.remove_prefix(1);
    if (!take_number(token, parsed.*part)) return std::nullopt;
  }
  return token.empty() ? std::optional(parsed) : std::nullopt;
}

Result<std::optional<StreamToken>> parse_since(std::string_view token, kv::Position visible) {
  if (auto parsed = parse_stream_token(token)) {
    if (std::max(parsed->position, parsed->to_device) > visible) parsed.reset();
    return parsed;
  }
  // Of another version: a letter, and numbers with underscores between them.
  size_t numbers = 0;
  bool well_formed = token.starts_with('s');
  while (well_formed && !token.empty()) {
    token.remove_prefix(1);
    uint64_t number = 0;
    well_formed = take_number(token, number) && (token.empty() || token.starts_with('_'));
    ++numbers;
  }
  if (!well_formed || numbers < 2) return fail(ErrorCode::kInvalid, "since is no token of /sync");
  return std::optional<StreamToken>();
}

std::string history_token(const HistoryPosition& place) {
  std::string token =
      "t1_" + std::to_string(place.place.depth) + "_" + std::to_string(place.place.position);
  if (place.told_from != kv::kLastPosition) token += "_" + std::to_string(place.told_from);
  return token;
}

HistoryPosition end_of_room() {
  return {{json::kMaxCanonicalInt, kv::kLastPosition}, kv::kLastPosition};
}

Result<HistoryPosition> history_position(const rooms::RoomReader& reader, std::string_view token,
                                         Direction direction) {
  if (const auto stream = parse_stream_token(token))
    return stream_position(reader, stream->position, direction);
  HistoryPosition place;
  const bool ours = token.starts_with("t1_");
  if (ours) token.remove_prefix(3);
  if (!ours || !take_number(token, place.place.depth) || !token.starts_with('_'))
    return fail(ErrorCode::kInvalid, "Unknown token");
  token.remove_prefix(1);
  if (!take_number(token, place.place.position) || place.place.depth < 0)
    return fail(ErrorCode::kInvalid, "Unknown token");
  if (token.empty()) return place;
  if (!token.starts_with('_')) return fail(ErrorCode::kInvalid, "Unknown token");
  token.remove_prefix(1);
  if (!take_number(token, place.told_from) || !token.empty())
    return fail(ErrorCode::kInvalid, "Unknown token");
  return place;
}

Result<stores::StateRoot> state_at(const rooms::RoomReader& reader, kv::Position position) {
  if (position >= reader.head().last) return reader.head().record.state;
  if (const auto recent = reader.head().recent.state_at(position)) return *recent;
  POLDER_TRY(const auto last, stores::read_timeline_backwards(
                                  reader.snapshot(), reader.head().number, 0, position, 1));
  if (last.empty()) return stores::StateRoot();
  POLDER_TRY(const auto record, reader.view().record(last[0].number));
  return record.room_state.value_or(record.state_after);
}

Result<stores::StateRoot> state_told(const rooms::RoomReader& reader, kv::Position position) {
  if (reader.head().record.was_partial) {
    POLDER_TRY(const kv::Position completed,
               stores::read_completed_at(reader.snapshot(), reader.head().number));
    if (completed > position) return stores::StateRoot();
  }
  return state_at(reader, position);
}

}  // namespace polder::sync
