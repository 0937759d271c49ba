#include "tests/crash/power_clients.h"

#include <algorithm>
#include <array>

namespace polder::crash {
namespace {

constexpr size_t kFindingsMax = 20;
constexpr size_t kOldLookedAt = 5;  // of what was checked before
constexpr const char* kClient = "/_matrix/client/v3/";

std::string quoted(const std::string& text) {
  return json::write(json::Value(text));
}

std::string room_path(const std::string& room, const std::string& rest) {
  return kClient + ("rooms/" + room + rest);
}

std::string text_at(const json::Object& object, std::initializer_list<std::string_view> path) {
  const json::Value* value = json::at(object, path);
  return value != nullptr && value->as_string() != nullptr ? *value->as_string() : "";
}

}  // namespace

void Ledger::finding(std::string text) {
  if (findings.size() < kFindingsMax) findings.push_back(std::move(text));
}

void Client::meet(const http::Router& router, const std::vector<std::unique_ptr<Client>>& clients) {
  router_ = &router;
  clients_ = &clients;
  gone_ = false;
}

Task<server::Answer> Client::ask(std::string method, std::string target, std::string body) {
  server::ClientCall call{std::move(method), std::move(target), token_, std::move(body)};
  co_return co_await server::ask(*router_, std::move(call));
}

Task<std::optional<json::Object>> Client::must(std::string method, std::string target,
                                               std::string body) {
  const std::string what = name_ + ": " + method + " " + target;
  const server::Answer answer = co_await ask(std::move(method), std::move(target), std::move(body));
  if (answer.status == 200) {
    const json::Object* object = answer.body.as_object();
    co_return object != nullptr ? *object : json::Object();
  }
  gone_ = true;
  if (ledger_.disk.powered() || answer.status < 500)
    ledger_.finding(what + " gave " + std::to_string(answer.status) + " " + answer.text({"error"}));
  co_return std::nullopt;
}

void Client::settle(Known& known, std::string found, const std::string& what) {
  if (found != known.acknowledged && found != known.pending) {
    ledger_.finding(name_ + ": " + what + " is '" + found + "', acknowledged was '" +
                    known.acknowledged + "', under way '" + known.pending.value_or("nothing") +
                    "'");
  }
  known = {std::move(found), std::nullopt};
}

bool Client::is_in(const std::string& room) const {
  const auto found = memberships_.find(room);
  return found != memberships_.end() && found->second.acknowledged == "join";
}

bool Client::may_be_in(const std::string& room) const {
  const auto found = memberships_.find(room);
  return is_in(room) || (found != memberships_.end() && found->second.pending == "join");
}

void Client::forget(const std::string& room) {
  memberships_.erase(room);
  receipts_.erase(room);
  if (sent_ && sent_->room == room) sent_.reset();
}

std::string Client::some_room() {
  std::vector<std::string> rooms;
  for (const auto& [room, known] : memberships_) {
    if (known.acknowledged == "join") rooms.push_back(room);
  }
  return rooms.empty() ? "" : rooms[ledger_.random.below(rooms.size())];
}

Client& Client::somebody() {
  return *(*clients_)[ledger_.random.below(clients_->size())];
}

// --- What they do. ---

Task<void> Client::sign_up() {
  const auto made =
      co_await must("POST", "/_matrix/client/v3/register",
                    R"({"username":")" + name_ + R"(","auth":{"type":"m.login.dummy"}})");
  if (!made) co_return;
  id_ = text_at(*made, {"user_id"});
  token_ = text_at(*made, {"access_token"});
  device_ = text_at(*made, {"device_id"});
}

Task<std::string> Client::create_room(std::string version) {
  const auto made = co_await must(
      "POST", "/_matrix/client/v3/createRoom",
      R"({"preset":"public_chat","power_level_content_override":{"state_default":0},"room_version":)" +
          quoted(version) + "}");
  if (!made) co_return "";
  const std::string room = text_at(*made, {"room_id"});
  memberships_[room].acknowledged = "join";
  co_return room;
}

struct Client::Act {
  uint32_t weight = 0;
  Task<void> (Client::*perform)() = nullptr;
};

Task<void> Client::act(size_t times) {
  constexpr auto kActs = std::to_array<Act>({
      {8, &Client::say_somewhere},
      {3, &Client::set_state},
      {2, &Client::set_account_data},
      {2, &Client::join_or_leave},
      {3, &Client::read},
      {4, &Client::send_to_device},
      {2, &Client::upload_key},
      {1, &Client::claim_key},
      {1, &Client::upload_media},
      {4, &Client::sync},
  });
  uint64_t total = 0;
  for (const Act& act : kActs)
    total += act.weight;
  for (size_t i = 0; i < times && !gone_; ++i) {
    uint64_t at = ledger_.random.below(total);
    const auto* act = kActs.begin();
    for (; at >= act->weight; ++act)
      at -= act->weight;
    co_await (this->*act->perform)();
  }
}

Task<void> Client::move(std::string room, std::string membership, std::string target) {
  memberships_[room].pending = membership;
  if (!co_await must("POST", std::move(target), "{}")) co_return;
  memberships_[room] = {std::move(membership), std::nullopt};
}

Task<void> Client::enter(std::string room, std::string via) {
  co_await move(room, "join", kClient + ("join/" + room + "?via=" + via));
}

Task<void> Client::leave(std::string room) {
  co_await move(room, "leave", room_path(room, "/leave"));
}

// The first of them stays: somebody must be there to check.
Task<void> Client::join_or_leave() {
  if (ledger_.public_rooms.empty() || this == clients_->front().get()) co_return;
  const std::string room = ledger_.public_rooms[ledger_.random.below(ledger_.public_rooms.size())];
  if (is_in(room)) {
    co_await leave(room);
  } else {
    co_await enter(room, "own.example");
  }
}

Task<std::string> Client::deliver(SentEvent event) {
  const auto sent =
      co_await must("PUT", room_path(event.room, "/send/m.room.message/" + event.transaction),
                    R"({"msgtype":"m.text","body":)" + quoted(event.body) + "}");
  co_return sent ? text_at(*sent, {"event_id"}) : "";
}

Task<void> Client::say(std::string room) {
  sent_ = SentEvent{room, ledger_.next("t"), ledger_.next("words "), ""};
  const std::string id = co_await deliver(*sent_);
  if (id.empty()) co_return;
  sent_->id = id;
  ledger_.events[room].push_back(id);
}

Task<void> Client::say_often(std::string room, size_t times) {
  for (size_t i = 0; i < times && !gone_; ++i)
    co_await say(room);
}

Task<void> Client::say_somewhere() {
  const std::string room = some_room();
  if (!room.empty()) co_await say(room);
}

Task<void> Client::set_value(std::string target) {
  const std::string value = ledger_.next("value ");
  values_[target].pending = value;
  const auto answer = co_await must("PUT", kClient + target, R"({"value":)" + quoted(value) + "}");
  if (answer) values_[target] = {value, std::nullopt};
}

Task<void> Client::set_state() {
  const std::string room = some_room();
  if (room.empty()) co_return;
  co_await set_value("rooms/" + room + "/state/org.example.note/" + name_ +
                     std::to_string(ledger_.random.below(2)));
}

Task<void> Client::set_account_data() {
  co_await set_value("user/" + id_ + "/account_data/org.example.data" +
                     std::to_string(ledger_.random.below(2)));
}

Task<void> Client::read() {
  const std::string room = some_room();
  if (room.empty() || ledger_.events[room].empty()) co_return;
  const std::string event = ledger_.events[room].back();
  receipts_[room].pending = event;
  if (co_await must("POST", room_path(room, "/receipt/m.read/" + event), "{}"))
    receipts_[room] = {event, std::nullopt};
}

Task<void> Client::deliver(std::string message) {
  const Client* to = nullptr;
  for (const auto& client : *clients_) {
    if (client->id_ == ledger_.messages[message].to) to = client.get();
  }
  const auto sent =
      co_await must("PUT", kClient + ("sendToDevice/org.example.message/" + message),
                    R"({"messages":{)" + quoted(to->id_) + ":{" + quoted(to->device_) +
                        R"(:{"id":)" + quoted(message) + "}}}}");
  if (sent) ledger_.messages[message].acknowledged = true;
}

Task<void> Client::send_to_device() {
  message_ = ledger_.next("message");
  ledger_.messages[message_].to = somebody().id_;
  co_await deliver(message_);
  if (!gone_) message_.clear();
}

Task<void> Client::upload_key() {
  ++keys_most_;
  const auto uploaded = co_await must(
      "POST", "/_matrix/client/v3/keys/upload",
      R"({"one_time_keys":{"signed_curve25519:)" + ledger_.next("K") + R"(":{"key":"b25l"}}})");
  if (uploaded) ++keys_least_;
}

Task<void> Client::claim_key() {
  Client& other = somebody();
  --other.keys_least_;
  const auto claimed = co_await must("POST", "/_matrix/client/v3/keys/claim",
                                     R"({"one_time_keys":{)" + quoted(other.id_) + ":{" +
                                         quoted(other.device_) + R"(:"signed_curve25519"}}})");
  if (!claimed) co_return;
  const json::Value* keys = json::at(*claimed, {"one_time_keys", other.id_, other.device_});
  if (keys == nullptr) {
    ++other.keys_least_;
    co_return;
  }
  --other.keys_most_;
  for (const auto& [key, value] : *keys->as_object()) {
    if (!ledger_.claimed_keys.insert(key).second)
      ledger_.finding(key + " of " + other.name_ + " was given twice");
  }
}

Task<void> Client::upload_media() {
  const std::string content = R"({"media":")" + ledger_.next("") + R"("})";
  const auto uploaded = co_await must("POST", "/_matrix/media/v3/upload", content);
  if (!uploaded) co_return;
  ledger_.media[text_at(*uploaded, {"content_uri"}).substr(sizeof("mxc://") - 1)] = content;
}

void Client::take_messages(const json::Object& answer) {
  since_ = text_at(answer, {"next_batch"});
  const json::Value* events = json::at(answer, {"to_device", "events"});
  if (events == nullptr) return;
  for (const json::Value& event : *events->as_array())
    ++received_[text_at(*event.as_object(), {"content", "id"})];
}

Task<void> Client::sync() {
  const auto answer = co_await must(
      "GET", kClient + ("sync" + (since_.empty() ? std::string() : "?since=" + since_)));
  if (answer) take_messages(*answer);
}

// --- What they were promised. ---

Task<void> Client::resume() {
  co_await check_rooms();
  if (sent_ && is_in(sent_->room)) {
    const std::string id = co_await deliver(*sent_);
    if (sent_->id.empty()) {
      ledger_.events[sent_->room].push_back(id);
    } else if (sent_->id != id) {
      ledger_.finding(name_ + " sent " + sent_->transaction + " again: " + id + " for " +
                      sent_->id);
    }
    sent_->id = id;
  }
  if (!message_.empty()) co_await deliver(std::exchange(message_, ""));
}

Task<void> Client::check(bool all) {
  co_await check_values();
  co_await check_messages();
  co_await check_receipts();
  co_await check_keys();
  co_await check_events(all);
  co_await check_media(all);
}

Task<void> Client::check_rooms() {
  const auto answer = co_await must("GET", "/_matrix/client/v3/joined_rooms");
  if (!answer) co_return;
  std::set<std::string> joined;
  for (const json::Value& room : *answer->find_array("joined_rooms"))
    joined.insert(*room.as_string());
  for (auto& [room, known] : memberships_) {
    // Never there, or gone: the same to who is not in it.
    const std::string away =
        known.acknowledged == "join" || known.pending == "leave" ? "leave" : known.acknowledged;
    settle(known, joined.contains(room) ? "join" : away, "the membership in " + room);
  }
}

Task<void> Client::check_values() {
  for (auto& [target, known] : values_) {
    const auto slash = target.find('/', 6);
    if (target.starts_with("rooms/") && !is_in(target.substr(6, slash - 6))) continue;
    const server::Answer answer = co_await ask("GET", kClient + target);
    settle(known, answer.status == 200 ? answer.text({"value"}) : "", target);
  }
}

Task<void> Client::check_messages() {
  for (size_t before = ~size_t{0}; before != received_.size() && !gone_;) {
    before = received_.size();
    co_await sync();
  }
  for (const auto& [id, message] : ledger_.messages) {
    if (message.to != id_) continue;
    const auto found = received_.find(id);
    const int times = found == received_.end() ? 0 : found->second;
    if (times > 1 || (times == 0 && message.acknowledged))
      ledger_.finding(id + " to " + name_ + " came " + std::to_string(times) + " times");
  }
}

Task<void> Client::check_receipts() {
  const auto answer = co_await must("GET",
                                    "/_matrix/client/v3/sync?filter="
                                    "%7B%22room%22%3A%7B%22timeline%22%3A%7B%22limit%22%3A1"
                                    "%7D%7D%7D");
  if (!answer) co_return;
  for (auto& [room, known] : receipts_) {
    if (!is_in(room)) continue;
    std::string found;
    const json::Value* events = json::at(*answer, {"rooms", "join", room, "ephemeral", "events"});
    for (const json::Value& event : events != nullptr ? *events->as_array() : json::Array()) {
      if (text_at(*event.as_object(), {"type"}) != "m.receipt") continue;
      for (const auto& [id, content] : *event.as_object()->find_object("content")) {
        if (json::at(*content.as_object(), {"m.read", id_}) != nullptr) found = id;
      }
    }
    settle(known, std::move(found), "the receipt in " + room);
  }
}

Task<void> Client::check_keys() {
  const auto answer = co_await must("POST", "/_matrix/client/v3/keys/upload", "{}");
  if (!answer) co_return;
  const json::Value* counted = json::at(*answer, {"one_time_key_counts", "signed_curve25519"});
  const int count = static_cast<int>(*counted->as_int());
  if (count < keys_least_ || count > keys_most_) {
    ledger_.finding(name_ + " has " + std::to_string(count) + " keys, not " +
                    std::to_string(keys_least_) + " to " + std::to_string(keys_most_));
  }
  keys_least_ = keys_most_ = count;
}

// All that are new, and some of the others.
Task<void> Client::check_events(bool all) {
  for (const auto& [room, ids] : ledger_.events) {
    if (!is_in(room)) continue;
    const std::vector<std::string> copy = ids;
    for (const std::string& id : copy) {
      const bool is_new = checked_.insert(id).second;
      if (all || is_new || ledger_.random.below(copy.size()) < kOldLookedAt)
        co_await must("GET", room_path(room, "/event/" + id));
    }
  }
}

Task<void> Client::check_media(bool all) {
  for (const auto& [path, content] : ledger_.media) {
    const bool is_new = checked_.insert(path).second;
    if (!all && !is_new && ledger_.random.below(ledger_.media.size()) >= kOldLookedAt) continue;
    const auto found = co_await must("GET", "/_matrix/client/v1/media/download/" + path);
    if (found && json::write(json::Value(*found)) != content)
      ledger_.finding(path + " has another content");
  }
}

}  // namespace polder::crash
