#include "federation/devices/encryption.h"

#include "federation/devices/sharing.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/e2ee/key_checks.h"

namespace polder::devices {
namespace {

constexpr size_t kAskingMax = 32;              // servers at once, for one request
constexpr size_t kAnswersBytesMax = 16 << 20;  // of keys that are held for one request

void add(json::Object& object, std::string_view list, const std::string& user, json::Object value) {
  if (object.find_object(list) == nullptr) object.set(std::string(list), json::Object());
  object.find(list)->as_object()->set(user, std::move(value));
}

// Adds the members of an object of objects.
void add_all(json::Object& into, json::Object from) {
  for (auto& [list, users] : from) {
    if (into.find_object(list) == nullptr) into.set(list, json::Object());
    for (auto& [user, value] : *users.as_object())
      into.find(list)->as_object()->set(user, std::move(value));
  }
}

bool is_wanted(const json::Array& devices, const std::string& device) {
  return devices.empty() || std::ranges::find(devices, json::Value(device)) != devices.end();
}

// Of an answer to user/keys/query what was asked for and has the right shape. The answer's users
// are of that server, and were asked for.
json::Object checked_query(const json::Object& asked, const json::Object& answer) {
  json::Object checked;
  if (const json::Object* by_user = answer.find_object("device_keys")) {
    for (const auto& [name, devices] : *by_user) {
      json::Object kept;
      for (const auto& [device, keys] : *devices.as_object()) {
        if (!is_wanted(*asked.find_array(name), device)) continue;
        auto device_keys = checked_device_keys(UserId::trusted(name), device, keys);
        if (device_keys && kept.size() < kDevicesMax) kept.set(device, *std::move(device_keys));
      }
      add(checked, "device_keys", name, std::move(kept));
    }
  }
  for (const auto& [list, usage] :
       {std::pair("master_keys", "master"), std::pair("self_signing_keys", "self_signing")}) {
    const json::Object* by_user = answer.find_object(list);
    if (by_user == nullptr) continue;
    for (const auto& [name, key] : *by_user) {
      if (e2ee::check_cross_signing_key(UserId::trusted(name), usage, *key.as_object()).ok())
        add(checked, list, name, *key.as_object());
    }
  }
  return checked;
}

// The same for user/keys/claim: one key of the algorithm for each device.
json::Object checked_claim(const json::Object& asked, const json::Object& answer) {
  json::Object checked;
  const json::Object* by_user = answer.find_object("one_time_keys");
  if (by_user == nullptr) return checked;
  for (const auto& [name, devices] : *by_user) {
    json::Object kept;
    for (const auto& [device, keys] : *devices.as_object()) {
      const std::string* algorithm = asked.find_object(name)->find_string(device);
      const json::Object* key = keys.as_object();
      if (algorithm == nullptr || key == nullptr || key->size() != 1) continue;
      if (!e2ee::check_key_map(*key).ok() || !json::is_canonical(*key)) continue;
      if (KeyId::trusted(key->begin()->first).algorithm() == *algorithm) kept.set(device, *key);
    }
    if (!kept.empty()) add(checked, "one_time_keys", name, std::move(kept));
  }
  return checked;
}

}  // namespace

// Questions that are asked together. Outlives the request if servers are slow; what they answer
// then goes nowhere.
struct Encryption::Asking {
  Asking(runtime::Runtime& runtime, bool claims) : claim(claims), done(runtime) {}

  const bool claim;
  std::deque<Question> waiting;
  std::map<ServerName, Error> failures;  // those who did not answer yet
  json::Object keys;
  size_t bytes = 0;  // of the keys
  size_t running = 0;
  runtime::Signal done;
};

Task<void> Encryption::ask(std::shared_ptr<Asking> asking) {
  while (!asking->waiting.empty()) {
    const Question question = std::move(asking->waiting.front());
    asking->waiting.pop_front();
    auto answer = asking->claim
                      ? co_await parts_.client.claim_keys(question.server, question.asked)
                      : co_await parts_.client.query_keys(question.server, question.asked);
    if (!answer.ok()) {
      asking->failures.insert_or_assign(question.server, answer.error());
      continue;
    }
    json::Object checked = asking->claim ? checked_claim(question.asked, *answer)
                                         : checked_query(question.asked, *answer);
    const size_t bytes = json::write(checked).size();
    if (bytes > kAnswersBytesMax - asking->bytes) continue;  // a failure, as it was before
    asking->bytes += bytes;
    asking->failures.erase(question.server);
    add_all(asking->keys, std::move(checked));
  }
  --asking->running;
  asking->done.notify_all();
}

Task<void> Encryption::ask_all(std::shared_ptr<Asking> asking, std::vector<Question> questions,
                               Millis timeout) {
  const auto deadline = parts_.runtime.clock().steady() + timeout;
  for (Question& question : questions) {
    asking->failures.emplace(question.server, transport::not_asked(question.server));
    asking->waiting.push_back(std::move(question));
  }
  const auto shard = parts_.runtime.shard(parts_.runtime.current_shard());
  asking->running = std::min(asking->waiting.size(), kAskingMax);
  for (size_t i = 0; i < asking->running; ++i)
    runtime::spawn(parts_.runtime, shard, "keys of other servers", ask(asking));
  while (asking->running > 0) {
    const auto left = std::chrono::ceil<Millis>(deadline - parts_.runtime.clock().steady());
    if (left <= Millis(0)) break;
    co_await asking->done.wait_for(left);
  }
  asking->waiting.clear();
}

Result<Encryption::Found> Encryption::look_up(const users::Session& asker,
                                              const users::WantedKeys& wanted) const {
  Found found;
  std::map<ServerName, json::Object> by_server;
  const auto snapshot = parts_.database.snapshot();
  for (const auto& [user, only] : wanted) {
    POLDER_TRY(const auto list, remote_.known(*snapshot, user));
    if (list) continue;
    POLDER_TRY(const auto number, parts_.names.find(stores::NameKind::kUser, user.view()));
    if (number) {
      POLDER_TRY(const auto room, room_of_both(*snapshot, asker.number, *number));
      if (room) found.to_follow.push_back(user);
    }
    json::Array devices;
    for (const std::string& device : only)
      devices.emplace_back(device);
    by_server[ServerName::trusted(std::string(user.server()))].set(user.str(), std::move(devices));
  }
  for (auto& [server, asked] : by_server)
    found.questions.push_back({server, std::move(asked)});
  return found;
}

Result<json::Object> Encryption::followed(const users::WantedKeys& wanted) const {
  json::Object keys;
  const auto snapshot = parts_.database.snapshot();
  for (const auto& [user, only] : wanted) {
    POLDER_TRY(const auto list, remote_.known(*snapshot, user));
    if (!list) continue;
    add(keys, "device_keys", user.str(), list->device_keys(only));
    if (const json::Object* key = list->master_key()) add(keys, "master_keys", user.str(), *key);
    if (const json::Object* key = list->self_signing_key())
      add(keys, "self_signing_keys", user.str(), *key);
  }
  return keys;
}

// Those of this server, and the others.
std::pair<users::WantedKeys, users::WantedKeys> Encryption::divide(users::WantedKeys wanted) const {
  users::WantedKeys local, remote;
  for (auto& one : wanted) {
    const bool here = one.first.server() == parts_.own_name.view();
    (here ? local : remote).push_back(std::move(one));
  }
  return {std::move(local), std::move(remote)};
}

Task<Result<json::Object>> Encryption::query_known(UserId asker, users::WantedKeys wanted) {
  auto [local, others] = divide(std::move(wanted));
  POLDER_CO_TRY(json::Object keys, co_await parts_.device_keys.query(asker, std::move(local)));
  if (others.empty()) co_return keys;
  auto read = [this, remote = std::move(others)] { return followed(remote); };
  POLDER_CO_TRY(json::Object found, co_await runtime::on_pool(parts_.runtime, std::move(read)));
  add_all(keys, std::move(found));
  co_return keys;
}

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery
Task<Result<Answer>> Encryption::query_others(users::Session asker, users::WantedKeys wanted,
                                              Millis timeout) {
  Answer answer;
  const auto remote = std::make_shared<users::WantedKeys>(divide(std::move(wanted)).second);
  if (remote->empty()) co_return answer;
  auto look = [this, asker, remote] { return look_up(asker, *remote); };
  POLDER_CO_TRY(Found found, co_await runtime::on_pool(parts_.runtime, std::move(look)));
  for (const UserId& user : found.to_follow)
    remote_.follow(user, asker.number);
  auto asking = std::make_shared<Asking>(parts_.runtime, false);
  co_await ask_all(asking, std::move(found.questions), timeout);
  add_all(answer.keys, asking->keys);
  answer.failures = asking->failures;
  co_return answer;
}

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysclaim
Task<Result<Answer>> Encryption::claim(WantedOneTimeKeys wanted, Millis timeout) {
  WantedOneTimeKeys local;
  std::map<ServerName, json::Object> by_server;
  for (auto& one : wanted) {
    const auto& [user, device, algorithm] = one;
    if (user.server() == parts_.own_name.view()) {
      local.push_back(std::move(one));
      continue;
    }
    json::Object& asked = by_server[ServerName::trusted(std::string(user.server()))];
    if (asked.find_object(user.view()) == nullptr) asked.set(user.str(), json::Object());
    asked.find(user.view())->as_object()->set(device.str(), algorithm);
  }
  std::vector<Question> questions;
  for (auto& [server, asked] : by_server)
    questions.push_back({server, std::move(asked)});
  Answer answer;
  POLDER_CO_TRY(json::Object keys, co_await parts_.device_keys.claim(std::move(local)));
  answer.keys.set("one_time_keys", std::move(keys));
  auto asking = std::make_shared<Asking>(parts_.runtime, true);
  co_await ask_all(asking, std::move(questions), timeout);
  add_all(answer.keys, asking->keys);
  answer.failures = asking->failures;
  co_return answer;
}

// https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3sendtodeviceeventtypetxnid
Task<Result<std::vector<stores::UserNumber>>> Encryption::send(users::Session sender,
                                                               users::ToDevice message) {
  auto shared = std::make_shared<const users::ToDevice>(std::move(message));
  auto divide = [this, user = sender.user, shared] {
    return outgoing_.prepare(user, shared->type, shared->messages);
  };
  POLDER_CO_TRY(auto prepared, co_await runtime::on_pool(parts_.runtime, std::move(divide)));
  users::ToDevice local{shared->type, shared->transaction_id, std::move(prepared.local),
                        std::move(prepared.batch)};
  POLDER_CO_TRY(auto news, co_await parts_.device_messages.send_once(sender, std::move(local)));
  if (!news) co_return std::vector<stores::UserNumber>();
  outgoing_.committed(prepared.waiting);
  co_return *std::move(news);
}

}  // namespace polder::devices
