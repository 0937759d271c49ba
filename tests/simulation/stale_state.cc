#include "tests/simulation/stale_state.h"

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/values/bytes.h"
#include "homeserver/rooms/read/reader.h"

namespace polder::simulation {
namespace {

constexpr size_t kMissingTold = 5;

// Of one state, and of all that its events need.
struct State {
  std::vector<events::EventPtr> state;
  std::vector<events::EventPtr> auth_chain;
};

json::Array ids_of(const std::vector<events::EventPtr>& events) {
  json::Array ids;
  for (const events::EventPtr& event : events)
    ids.emplace_back(event->id().str());
  return ids;
}

json::Array pdus_of(const std::vector<events::EventPtr>& events) {
  json::Array pdus;
  for (const events::EventPtr& event : events)
    pdus.emplace_back(event->object());
  return pdus;
}

// A room as its hostile server has it.
class Past {
 public:
  Past(History& history, size_t server, rooms::RoomHeadPtr head)
      : history_(history),
        head_(std::move(head)),
        reader_(history.world().homeserver(server).rooms().source(), head_) {}

  std::optional<rooms::HeldEvent> any_event() const {
    for (int i = 0; i < 10; ++i) {
      const auto held = reader_.view().load(1 + history_.below(head_->record.last_event));
      if (held.ok() && !held->record.standing.outlier) return *held;
    }
    return std::nullopt;
  }

  // As it was before some event.
  State any_state() const {
    State told;
    const auto when = any_event();
    if (!when) return told;
    std::vector<rooms::EventNumber> waiting;
    const Status read =
        reader_.for_each_state(when->record.state_before, std::nullopt,
                               [&](rooms::EventNumber, const rooms::HeldEvent& held) {
                                 told.state.push_back(held.event);
                                 waiting.insert(waiting.end(), held.record.auth_events.begin(),
                                                held.record.auth_events.end());
                               });
    if (!read.ok()) return {};
    std::set<rooms::EventNumber> seen;
    while (!waiting.empty()) {
      const rooms::EventNumber number = waiting.back();
      waiting.pop_back();
      if (!seen.insert(number).second) continue;
      const auto held = reader_.view().load(number);
      told.auth_chain.push_back(held->event);
      waiting.insert(waiting.end(), held->record.auth_events.begin(),
                     held->record.auth_events.end());
    }
    return told;
  }

 private:
  History& history_;
  const rooms::RoomHeadPtr head_;
  const rooms::RoomReader reader_;
};

// "/_matrix/federation/v1/state_ids/{room}": the endpoint and the room.
std::pair<std::string, RoomId> parts_of(const std::string& target) {
  constexpr std::string_view kPrefix = "/_matrix/federation/v1/";  // v2 is as long
  if (target.size() < kPrefix.size()) return {};
  const std::string rest = target.substr(kPrefix.size());
  const size_t slash = rest.find('/');
  if (slash == std::string::npos) return {};
  const auto room = base::percent_decode(
      std::string_view(rest).substr(slash + 1, rest.find_first_of("/?", slash + 1) - slash - 1));
  return {rest.substr(0, slash), room.ok() ? RoomId::trusted(*room) : RoomId()};
}

void answer(http::ClientResponse& response, const json::Object& body) {
  response.status = 200;
  response.body = json::write(body);
}

void distort(History& history, const Past& past, const std::string& endpoint,
             http::ClientResponse& response) {
  if (endpoint == "get_missing_events") {
    std::vector<events::EventPtr> told;
    for (size_t i = 0; i < kMissingTold; ++i) {
      if (const auto held = past.any_event()) told.push_back(held->event);
    }
    return answer(response, {{"events", pdus_of(told)}});
  }
  const State old = past.any_state();
  if (endpoint == "state_ids") {
    answer(response, {{"pdu_ids", ids_of(old.state)}, {"auth_chain_ids", ids_of(old.auth_chain)}});
  } else if (endpoint == "state") {
    answer(response, {{"pdus", pdus_of(old.state)}, {"auth_chain", pdus_of(old.auth_chain)}});
  } else if (response.status == 200) {
    auto joined = json::parse_object(response.body);
    if (!joined.ok()) return;
    joined->set("state", pdus_of(old.state));
    joined->set("auth_chain", pdus_of(old.auth_chain));
    answer(response, *joined);
  }
  history.world().simulation().trace("stale " + endpoint);
}

}  // namespace

void log_stale_state(History& history, size_t server) {
  const std::string name = history.world().name(server);
  const auto lie = [&history, server, name](const std::string& asker,
                                            const http::ClientRequest& request,
                                            http::ClientResponse& response) {
    const auto [endpoint, room] = parts_of(request.target);
    const bool about_state =
        endpoint == "state_ids" || endpoint == "state" || endpoint == "send_join";
    if (!about_state && endpoint != "get_missing_events") return;
    bool misleads = history.is_misled(name, room.str());
    if (!history.is_honest(server) && history.one_in(2)) {
      const auto head = history.world().homeserver(server).rooms().source().head(room);
      if (!head.ok() || !*head) return;
      distort(history, Past(history, server, *head), endpoint, response);
      misleads = true;
    }
    if (about_state && misleads && response.status == 200) history.mislead(asker, room.str());
  };
  history.world().network().distort(name, lie);
}

}  // namespace polder::simulation
