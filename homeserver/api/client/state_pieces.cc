#include "homeserver/api/client/state_pieces.h"

namespace polder::client_api {
namespace {

using rooms::ReaderOf;
using rooms::RoomReader;

// A piece ends with the event of the list that makes it as large, what stands before the list
// aside: so each has one at least, and there are as many as it takes.
constexpr size_t kPieceBytes = 128 * 1024;

class Pieces {
 public:
  Pieces(const rooms::RoomSource& rooms, const ReaderOf& of, StatePieces pieces,
         std::vector<stores::EventNumber> events)
      : rooms_(rooms), of_(of), pieces_(std::move(pieces)), events_(std::move(events)) {}

  bool done() const { return done_; }

  // On the pool.
  Result<std::string> next(const RoomReader& reader) {
    std::string text = std::exchange(pieces_.begin, {});
    const size_t full = text.size() + kPieceBytes;
    for (; next_ < events_.size() && text.size() < full; ++next_) {
      entry_.clear();
      POLDER_CHECK(pieces_.append(reader, of_, events_[next_], entry_));
      if (entry_.empty()) continue;
      if (std::exchange(any_, true)) text.push_back(',');
      text.append(entry_);
    }
    done_ = next_ == events_.size();
    if (done_) text.append(pieces_.end);
    return text;
  }

  // The same with a reader of its own: nothing is held while a piece is sent.
  Result<std::string> next(stores::RoomNumber room) {
    auto head = rooms_.head(room);
    if (!head) return fail(ErrorCode::kNotFound, "the room was purged");
    return next(RoomReader(rooms_, std::move(head)));
  }

 private:
  const rooms::RoomSource& rooms_;
  const ReaderOf of_;
  StatePieces pieces_;
  const std::vector<stores::EventNumber> events_;
  size_t next_ = 0;
  bool any_ = false, done_ = false;
  std::string entry_;
};

Task<Result<std::optional<std::string>>> rest_of(const Api& api, stores::RoomNumber room,
                                                 std::shared_ptr<Pieces> pieces) {
  while (!pieces->done()) {
    POLDER_CO_TRY(std::string piece, co_await runtime::on_pool(api.runtime, [pieces, room] {
                    return pieces->next(room);
                  }));
    if (!piece.empty()) co_return std::optional(std::move(piece));
  }
  co_return std::optional<std::string>();
}

}  // namespace

Result<http::Response> state_in_pieces(const Api& api, const RoomReader& reader, const ReaderOf& of,
                                       stores::StateRoot root, std::optional<std::string_view> type,
                                       StatePieces pieces) {
  POLDER_TRY(auto events, reader.state_events(root, type));
  const auto source = std::make_shared<Pieces>(api.rooms, of, std::move(pieces), std::move(events));
  POLDER_TRY(std::string first, source->next(reader));
  http::Response response = http::Response::json(200, std::move(first));
  if (!source->done()) {
    auto more = [&api, room = reader.head().number, source] { return rest_of(api, room, source); };
    response.stream = kit::streamed(api.runtime.log(), "state of a room", std::move(more));
  }
  return response;
}

}  // namespace polder::client_api
