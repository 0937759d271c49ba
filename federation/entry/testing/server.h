// Another server for tests.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "federation/transport/transport.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/values/bytes.h"
#include "homeserver/base/values/disk.h"
#include "homeserver/protocol/events/signing.h"
#include "homeserver/rooms/engine/engine.h"
#include "homeserver/rooms/read/reader.h"

namespace polder::entry {

// The other server: a room engine of its own behind the paths that joining needs, and what a test
// makes of its answers.
class OtherServer final : public transport::Servers {
 public:
  OtherServer(rooms::RoomEngine& engine, ServerName caller)
      : engine_(engine), caller_(std::move(caller)) {}

  std::vector<transport::Call> calls;
  std::function<void(std::string_view path, json::Object& answer)> change;
  std::optional<ErrorCode> refusal;
  std::optional<UserId> authoriser;  // of restricted joins
  bool guest_can_join = false;

  size_t count(std::string_view what) const {
    size_t found = 0;
    for (const transport::Call& call : calls)
      found += call.path.find(what) != std::string::npos ? 1 : 0;
    return found;
  }

  Task<Result<http::ClientResponse>> call(ServerName server, transport::Call call) override {
    if (server != engine_.source().own_name)
      co_return fail(ErrorCode::kUnavailable, "no such server");
    calls.push_back(call);
    if (refusal) co_return fail(*refusal, "refused");
    auto answer = co_await answer_to(call);
    if (!answer.ok()) co_return std::move(answer).error();
    if (change) change(call.path, *answer);
    http::ClientResponse response;
    response.status = 200;
    response.body = json::write(*answer);
    co_return response;
  }
  Millis back_off(const ServerName&) const override { return Millis(0); }
  void heard_from(const ServerName&) override {}

 private:
  static std::vector<std::string> segments(std::string_view path) {
    std::vector<std::string> parts(1);
    for (const char c : path) {
      if (c == '/') {
        parts.emplace_back();
      } else {
        parts.back() += c;
      }
    }
    for (std::string& part : parts)
      part = *base::percent_decode(part);
    return parts;
  }

  Task<Result<json::Object>> answer_to(transport::Call call) {
    const auto parts = segments(call.path);
    const std::string what = parts.at(4);
    const RoomId room = RoomId::trusted(parts.at(5));
    if (what == "hierarchy") {
      const json::Value summary =
          json::object({{"room_id", room.str()}, {"guest_can_join", guest_can_join}});
      co_return json::Object{{"room", summary}, {"children", json::Array()}};
    }
    if (what.starts_with("make_"))
      co_return co_await make(what.substr(5), room, UserId::trusted(parts.at(6)));
    POLDER_CO_TRY(const json::Object body, json::parse_object(*call.body));
    if (what == "invite") {
      json::Object event = *body.find_object("event");
      events::sign_event(event, *events::find_room_version(*body.find_string("room_version")),
                         engine_.source().own_name, engine_.writer.signing_key());
      co_return json::Object{{"event", std::move(event)}};
    }
    co_return co_await send(what.substr(5), room, body);
  }

  // The model looks at its own disk, and no part of a server.
  rooms::RoomHeadPtr head_of(const RoomId& room) const {
    const base::DiskAllowed allowed;
    return *engine_.source().head(room);
  }

  Task<Result<json::Object>> make(std::string membership, RoomId room, UserId user) {
    rooms::LocalEvent event{.sender = user,
                            .type = "m.room.member",
                            .state_key = user.str(),
                            .content = {{"membership", membership}}};
    if (authoriser) event.content.set("join_authorised_via_users_server", authoriser->str());
    const auto head = head_of(room);
    POLDER_CO_TRY(auto pdu, co_await engine_.writer.make_template(room, event));
    co_return json::Object{{"event", std::move(pdu)},
                           {"room_version", std::string(head->rules->id)}};
  }

  Task<Result<json::Object>> send(std::string membership, RoomId room, json::Object pdu) {
    const auto head = head_of(room);
    events::sign_event(pdu, *head->rules, engine_.source().own_name, engine_.writer.signing_key());
    POLDER_CO_TRY(const auto event, events::Event::parse(pdu, *head->rules));
    json::Object answer = state(head, *event, membership == "knock");
    POLDER_CO_TRY(const auto received, co_await engine_.writer.receive(caller_, event));
    if (received.verdict != rooms::Verdict::kAccepted)
      co_return fail(ErrorCode::kForbidden, received.refusal);
    answer.set("event", event->object());
    co_return answer;
  }

  json::Object state(const rooms::RoomHeadPtr& head, const events::Event& join, bool stripped) {
    const base::DiskAllowed allowed;
    rooms::RoomReader reader(engine_.source(), head);
    json::Array state, chain;
    std::vector<EventId> wanted = join.auth_events();
    const auto add = [&](rooms::EventNumber, const rooms::HeldEvent& held) {
      state.emplace_back(held.event->object());
      wanted.insert(wanted.end(), held.event->auth_events().begin(),
                    held.event->auth_events().end());
    };
    EXPECT_TRUE(reader.for_each_state(head->record.state, std::nullopt, add).ok());
    if (stripped) return {{"knock_room_state", std::move(state)}};
    std::set<EventId> told;
    while (!wanted.empty()) {
      const EventId id = wanted.back();
      wanted.pop_back();
      if (!told.insert(id).second) continue;
      const auto held = *reader.view().load(**reader.view().find(id));
      chain.emplace_back(held.event->object());
      wanted.insert(wanted.end(), held.event->auth_events().begin(),
                    held.event->auth_events().end());
    }
    return {{"state", std::move(state)}, {"auth_chain", std::move(chain)}};
  }

  rooms::RoomEngine& engine_;
  const ServerName caller_;
};

}  // namespace polder::entry
