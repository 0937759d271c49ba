#include "bench/load/listeners.h"

#include "homeserver/base/values/bytes.h"

namespace polder::load {
namespace {

constexpr size_t kEmptyAnswersMax = 20;  // in a row

// The texts of the messages in a room's timeline; nothing if it has a gap.
Result<std::vector<std::string>> texts_in(const json::Object& answer, const std::string& room) {
  std::vector<std::string> texts;
  const json::Value* timeline = json::at(answer, {"rooms", "join", room, "timeline"});
  if (timeline == nullptr || timeline->as_object() == nullptr) return texts;
  if (timeline->as_object()->find_bool("limited").value_or(false))
    return fail(ErrorCode::kInternal, "a gap in the timeline of " + room);
  const json::Array* events = timeline->as_object()->find_array("events");
  if (events == nullptr) return texts;
  for (const json::Value& event : *events) {
    const json::Object* object = event.as_object();
    const std::string* type = object == nullptr ? nullptr : object->find_string("type");
    if (type == nullptr || *type != "m.room.message") continue;
    const json::Value* body = json::at(*object, {"content", "body"});
    texts.push_back(body == nullptr || body->as_string() == nullptr ? "" : *body->as_string());
  }
  return texts;
}

Task<Result<json::Object>> sync(Listener& listener) {
  POLDER_CO_TRY(json::Object answer,
                co_await listener.session.call(http::Method::kGet,
                                               "/_matrix/client/v3/sync?timeout=30000&since=" +
                                                   base::percent_encode(listener.since)));
  const std::string* next = answer.find_string("next_batch");
  if (next == nullptr) co_return fail(ErrorCode::kMissing, "/sync without next_batch");
  listener.since = *next;
  co_return answer;
}

}  // namespace

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync
Task<Status> begin_to_listen(Listener& listener) {
  POLDER_CO_TRY(const json::Object answer,
                co_await listener.session.call(http::Method::kGet, "/_matrix/client/v3/sync"));
  const std::string* next = answer.find_string("next_batch");
  if (next == nullptr) co_return fail(ErrorCode::kMissing, "/sync without next_batch");
  listener.since = *next;
  co_return Status();
}

Task<Status> listen(Listener& listener, Text text, Hearing heard) {
  for (size_t empty = 0; empty < kEmptyAnswersMax; ++empty) {
    POLDER_CO_TRY(const json::Object answer, co_await sync(listener));
    POLDER_CO_TRY(const std::vector<std::string> texts, texts_in(answer, listener.room));
    bool more = true;
    for (const std::string& said : texts) {
      empty = 0;
      if (said != text(listener.heard)) {
        co_return fail(ErrorCode::kInternal, listener.session.user_id() + " heard \"" + said +
                                                 "\" instead of \"" + text(listener.heard) + '"');
      }
      ++listener.heard;
      more = heard();
    }
    if (!more) co_return Status();
  }
  co_return fail(ErrorCode::kInternal, listener.session.user_id() + " heard nothing");
}

}  // namespace polder::load
