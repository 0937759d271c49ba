#include "homeserver/sync/tokens.h"

#include <charconv>

namespace polder::sync {
namespace {

template <class T>
bool take_number(std::string_view& text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

}  // namespace

std::string stream_token(kv::Position position) {
  return "s1_" + std::to_string(position);
}

std::optional<kv::Position> parse_stream_token(std::string_view token) {
  kv::Position position = 0;
  if (!token.starts_with("s1_")) return std::nullopt;
  token.remove_prefix(3);
  if (!take_number(token, position) || !token.empty()) return std::nullopt;
  return position;
}

std::string history_token(stores::DepthPlace place) {
  return "t1_" + std::to_string(place.depth) + "_" + std::to_string(place.position);
}

stores::DepthPlace end_of_room() {
  return {json::kMaxCanonicalInt, ~kv::Position{0} - 1};
}

Result<stores::DepthPlace> history_place(const rooms::RoomReader& reader, std::string_view token) {
  if (const auto position = parse_stream_token(token)) {
    POLDER_TRY(const auto last, stores::read_timeline_backwards(
                                    reader.snapshot(), reader.head().number, 0, *position, 1));
    if (last.empty()) return stores::DepthPlace();
    POLDER_TRY(const auto record, reader.view().record(last[0].number));
    return stores::DepthPlace{record.depth, record.position + 1};
  }
  stores::DepthPlace place;
  const bool ours = token.starts_with("t1_");
  if (ours) token.remove_prefix(3);
  if (!ours || !take_number(token, place.depth) || !token.starts_with('_'))
    return fail(ErrorCode::kInvalid, "Unknown token");
  token.remove_prefix(1);
  if (!take_number(token, place.position) || !token.empty() || place.depth < 0)
    return fail(ErrorCode::kInvalid, "Unknown token");
  return place;
}

Result<stores::StateRoot> state_at(const rooms::RoomReader& reader, kv::Position position) {
  POLDER_TRY(const auto last, stores::read_timeline_backwards(
                                  reader.snapshot(), reader.head().number, 0, position, 1));
  if (last.empty()) return stores::StateRoot();
  POLDER_TRY(const auto record, reader.view().record(last[0].number));
  return record.state_after;
}

Result<stores::StateRoot> state_at(const rooms::RoomReader& reader, std::string_view token) {
  const auto position = parse_stream_token(token);
  if (!position) return fail(ErrorCode::kInvalid, "Unknown token");
  return state_at(reader, *position);
}

}  // namespace polder::sync
