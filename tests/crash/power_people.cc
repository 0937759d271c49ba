#include "tests/crash/power_people.h"

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

void Person::meet(const http::Router& router, const std::vector<std::unique_ptr<Person>>& people) {
  router_ = &router;
  people_ = &people;
  gone_ = false;
}

Task<server::Answer> Person::ask(std::string method, std::string target, std::string body) {
  server::ClientCall call{std::move(method), std::move(target), token_, std::move(body)};
  co_return co_await server::ask(*router_, std::move(call));
}

Task<std::optional<json::Object>> Person::must(std::string method, std::string target,
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

void Person::settle(Known& known, std::string found, const std::string& what) {
  if (found != known.told && found != known.asked) {
    ledger_.finding(name_ + ": " + what + " is '" + found + "', told was '" + known.told +
                    "', asked for '" + known.asked.value_or("nothing") + "'");
  }
  known = {std::move(found), std::nullopt};
}

bool Person::is_in(const std::string& room) const {
  const auto found = memberships_.find(room);
  return found != memberships_.end() && found->second.told == "join";
}

bool Person::may_be_in(const std::string& room) const {
  const auto found = memberships_.find(room);
  return is_in(room) || (found != memberships_.end() && found->second.asked == "join");
}

void Person::forget(const std::string& room) {
  memberships_.erase(room);
  receipts_.erase(room);
  if (said_ && said_->room == room) said_.reset();
}

std::string Person::some_room() {
  std::vector<std::string> rooms;
  for (const auto& [room, known] : memberships_) {
    if (known.told == "join") rooms.push_back(room);
  }
  return rooms.empty() ? "" : rooms[ledger_.random.below(rooms.size())];
}

Person& Person::somebody() {
  return *(*people_)[ledger_.random.below(people_->size())];
}

// --- What they do. ---

Task<void> Person::sign_up() {
  const auto made =
      co_await must("POST", "/_matrix/client/v3/register",
                    R"({"username":")" + name_ + R"(","auth":{"type":"m.login.dummy"}})");
  if (!made) co_return;
  id_ = text_at(*made, {"user_id"});
  token_ = text_at(*made, {"access_token"});
  device_ = text_at(*made, {"device_id"});
}

Task<std::string> Person::create_room(std::string version) {
  const auto made = co_await must(
      "POST", "/_matrix/client/v3/createRoom",
      R"({"preset":"public_chat","power_level_content_override":{"state_default":0},"room_version":)" +
          quoted(version) + "}");
  if (!made) co_return "";
  const std::string room = text_at(*made, {"room_id"});
  memberships_[room].told = "join";
  co_return room;
}

struct Person::Act {
  uint32_t weight = 0;
  Task<void> (Person::*perform)() = nullptr;
};

Task<void> Person::act(size_t times) {
  constexpr auto kActs = std::to_array<Act>({
      {8, &Person::say_somewhere},
      {3, &Person::set_state},
      {2, &Person::set_account_data},
      {2, &Person::come_or_go},
      {3, &Person::read},
      {4, &Person::send_to_device},
      {2, &Person::upload_key},
      {1, &Person::claim_key},
      {1, &Person::upload_media},
      {4, &Person::sync},
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

Task<void> Person::move(std::string room, std::string membership, std::string target) {
  memberships_[room].asked = membership;
  if (!co_await must("POST", std::move(target), "{}")) co_return;
  memberships_[room] = {std::move(membership), std::nullopt};
}

Task<void> Person::enter(std::string room, std::string via) {
  co_await move(room, "join", kClient + ("join/" + room + "?via=" + via));
}

Task<void> Person::leave(std::string room) {
  co_await move(room, "leave", room_path(room, "/leave"));
}

// The first of them stays: somebody must be there to look.
Task<void> Person::come_or_go() {
  if (ledger_.halls.empty() || this == people_->front().get()) co_return;
  const std::string room = ledger_.halls[ledger_.random.below(ledger_.halls.size())];
  if (is_in(room)) {
    co_await leave(room);
  } else {
    co_await enter(room, "own.example");
  }
}

Task<std::string> Person::deliver(Said said) {
  const auto sent =
      co_await must("PUT", room_path(said.room, "/send/m.room.message/" + said.transaction),
                    R"({"msgtype":"m.text","body":)" + quoted(said.body) + "}");
  co_return sent ? text_at(*sent, {"event_id"}) : "";
}

Task<void> Person::say(std::string room) {
  said_ = Said{room, ledger_.next("t"), ledger_.next("words "), ""};
  const std::string id = co_await deliver(*said_);
  if (id.empty()) co_return;
  said_->id = id;
  ledger_.events[room].push_back(id);
}

Task<void> Person::say_often(std::string room, size_t times) {
  for (size_t i = 0; i < times && !gone_; ++i)
    co_await say(room);
}

Task<void> Person::say_somewhere() {
  const std::string room = some_room();
  if (!room.empty()) co_await say(room);
}

Task<void> Person::set_value(std::string target) {
  const std::string value = ledger_.next("value ");
  values_[target].asked = value;
  const auto answer = co_await must("PUT", kClient + target, R"({"value":)" + quoted(value) + "}");
  if (answer) values_[target] = {value, std::nullopt};
}

Task<void> Person::set_state() {
  const std::string room = some_room();
  if (room.empty()) co_return;
  co_await set_value("rooms/" + room + "/state/org.example.note/" + name_ +
                     std::to_string(ledger_.random.below(2)));
}

Task<void> Person::set_account_data() {
  co_await set_value("user/" + id_ + "/account_data/org.example.data" +
                     std::to_string(ledger_.random.below(2)));
}

Task<void> Person::read() {
  const std::string room = some_room();
  if (room.empty() || ledger_.events[room].empty()) co_return;
  const std::string event = ledger_.events[room].back();
  receipts_[room].asked = event;
  if (co_await must("POST", room_path(room, "/receipt/m.read/" + event), "{}"))
    receipts_[room] = {event, std::nullopt};
}

Task<void> Person::deliver(std::string message) {
  const Person* to = nullptr;
  for (const auto& person : *people_) {
    if (person->id_ == ledger_.messages[message].to) to = person.get();
  }
  const auto sent =
      co_await must("PUT", kClient + ("sendToDevice/org.example.message/" + message),
                    R"({"messages":{)" + quoted(to->id_) + ":{" + quoted(to->device_) +
                        R"(:{"id":)" + quoted(message) + "}}}}");
  if (sent) ledger_.messages[message].acknowledged = true;
}

Task<void> Person::send_to_device() {
  message_ = ledger_.next("message");
  ledger_.messages[message_].to = somebody().id_;
  co_await deliver(message_);
  if (!gone_) message_.clear();
}

Task<void> Person::upload_key() {
  ++keys_most_;
  const auto uploaded = co_await must(
      "POST", "/_matrix/client/v3/keys/upload",
      R"({"one_time_keys":{"signed_curve25519:)" + ledger_.next("K") + R"(":{"key":"b25l"}}})");
  if (uploaded) ++keys_least_;
}

Task<void> Person::claim_key() {
  Person& other = somebody();
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

Task<void> Person::upload_media() {
  const std::string content = R"({"media":")" + ledger_.next("") + R"("})";
  const auto uploaded = co_await must("POST", "/_matrix/media/v3/upload", content);
  if (!uploaded) co_return;
  ledger_.media[text_at(*uploaded, {"content_uri"}).substr(sizeof("mxc://") - 1)] = content;
}

void Person::take_messages(const json::Object& answer) {
  since_ = text_at(answer, {"next_batch"});
  const json::Value* events = json::at(answer, {"to_device", "events"});
  if (events == nullptr) return;
  for (const json::Value& event : *events->as_array())
    ++received_[text_at(*event.as_object(), {"content", "id"})];
}

Task<void> Person::sync() {
  const auto answer = co_await must(
      "GET", kClient + ("sync" + (since_.empty() ? std::string() : "?since=" + since_)));
  if (answer) take_messages(*answer);
}

// --- What they were promised. ---

Task<void> Person::resume() {
  co_await check_rooms();
  if (said_ && is_in(said_->room)) {
    const std::string id = co_await deliver(*said_);
    if (said_->id.empty()) {
      ledger_.events[said_->room].push_back(id);
    } else if (said_->id != id) {
      ledger_.finding(name_ + " sent " + said_->transaction + " again: " + id + " for " +
                      said_->id);
    }
    said_->id = id;
  }
  if (!message_.empty()) co_await deliver(std::exchange(message_, ""));
}

Task<void> Person::check(bool all) {
  co_await check_values();
  co_await check_messages();
  co_await check_receipts();
  co_await check_keys();
  co_await check_events(all);
  co_await check_media(all);
}

Task<void> Person::check_rooms() {
  const auto answer = co_await must("GET", "/_matrix/client/v3/joined_rooms");
  if (!answer) co_return;
  std::set<std::string> joined;
  for (const json::Value& room : *answer->find_array("joined_rooms"))
    joined.insert(*room.as_string());
  for (auto& [room, known] : memberships_) {
    // Never there, or gone: the same to who is not in it.
    const std::string away = known.told == "join" || known.asked == "leave" ? "leave" : known.told;
    settle(known, joined.contains(room) ? "join" : away, "the membership in " + room);
  }
}

Task<void> Person::check_values() {
  for (auto& [target, known] : values_) {
    const auto slash = target.find('/', 6);
    if (target.starts_with("rooms/") && !is_in(target.substr(6, slash - 6))) continue;
    const server::Answer answer = co_await ask("GET", kClient + target);
    settle(known, answer.status == 200 ? answer.text({"value"}) : "", target);
  }
}

Task<void> Person::check_messages() {
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

Task<void> Person::check_receipts() {
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

Task<void> Person::check_keys() {
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
Task<void> Person::check_events(bool all) {
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

Task<void> Person::check_media(bool all) {
  for (const auto& [path, content] : ledger_.media) {
    const bool is_new = checked_.insert(path).second;
    if (!all && !is_new && ledger_.random.below(ledger_.media.size()) >= kOldLookedAt) continue;
    const auto found = co_await must("GET", "/_matrix/client/v1/media/download/" + path);
    if (found && json::write(json::Value(*found)) != content)
      ledger_.finding(path + " has another content");
  }
}

}  // namespace polder::crash
