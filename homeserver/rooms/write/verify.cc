// Hashes and signatures of events from other servers: steps 2 and 3 of the checks on receipt.
// https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>

#include "homeserver/base/runtime/sync.h"
#include "homeserver/protocol/events/signing.h"
#include "homeserver/rooms/write/pieces.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::rooms {
namespace {

constexpr size_t kKeysAtOnce = 100;               // waited for together
constexpr std::chrono::seconds kKeysTimeout{60};  // for all keys of one list
constexpr size_t kLoggedMax = 20;                 // dropped events of one list

using KeyName = std::pair<ServerName, KeyId>;

// From room version 5 on, a key counts only for what it signed while it was valid.
int64_t valid_at(const events::Event& event) {
  return event.rules().enforce_key_validity ? event.origin_server_ts() : 0;
}

// Step 3: "passes hash checks, otherwise it is redacted before being processed further".
Result<events::EventPtr> check_hash(events::EventPtr event) {
  if (events::content_hash_matches(event->object())) return event;
  return events::redacted(*event);
}

}  // namespace

// Keys, as far as lists of events need them.
struct SignersKeys {
  struct Key {
    std::set<int64_t> times;  // at which it must be valid, still to be asked for
    std::optional<crypto::VerifyKey> key;
    int64_t good_until_ms = -1;  // of the times
    bool asked = false;
    // Why nobody can say now whether there is such a key.
    std::optional<Error> unknown = fail(ErrorCode::kTimeout, "keys took too long");
  };
  std::map<KeyName, Key> keys;
  std::chrono::nanoseconds patience = kKeysTimeout;  // what is left of it
};

std::shared_ptr<SignersKeys> make_signers_keys() {
  return std::make_shared<SignersKeys>();
}

namespace {

using NeededKey = SignersKeys::Key;

// A list on its way through verify_all(). Events of it are worked on at once; the keys are only
// read then.
struct Work {
  Work(const events::RoomVersionRules& version, RoomId id, std::vector<std::string> list,
       std::shared_ptr<SignersKeys> known)
      : rules(version),
        room(std::move(id)),
        keys(std::move(known)),
        pdus(std::move(list)),
        events(pdus.size(), events::EventPtr()) {}

  const events::RoomVersionRules& rules;
  const RoomId room;
  const std::shared_ptr<SignersKeys> keys;
  std::vector<std::string> pdus;
  std::vector<Result<events::EventPtr>> events;  // of each PDU
  std::vector<decltype(SignersKeys::keys)::iterator> wanted;
  size_t next = 0;  // of those
};
using WorkPtr = std::shared_ptr<Work>;

void parse_one(Work& work, size_t index) {
  auto event = events::Event::parse(std::exchange(work.pdus[index], {}), work.rules);
  if (event.ok() && (*event)->room_id() != work.room)
    event = fail(ErrorCode::kInvalid, "event of another room");
  work.events[index] = std::move(event);
}

// kBadSignature; kUnavailable or kTimeout if the signer's key cannot be had now.
Status check_signature(const Work& work, const events::Event& event, const ServerName& server,
                       std::string_view signed_bytes) {
  Error failure = fail(ErrorCode::kBadSignature, "event is not signed by " + server.str());
  for (const events::SignatureRef& signature : events::signatures_of(event.object())) {
    if (signature.entity != server.view()) continue;
    const auto found = work.keys->keys.find({server, signature.key});
    if (found == work.keys->keys.end()) continue;
    const NeededKey& needed = found->second;
    if (needed.key && valid_at(event) <= needed.good_until_ms &&
        needed.key->verify(signed_bytes, signature.signature)) {
      return {};
    }
    if (needed.unknown) failure = *needed.unknown;
  }
  return failure;
}

Status check_signatures(const Work& work, const events::Event& event) {
  const std::string signed_bytes = events::signed_bytes_of_event(event.object(), event.rules());
  for (const ServerName& server : events::required_signers(event))
    POLDER_CHECK(check_signature(work, event, server, signed_bytes));
  return {};
}

void verify_one(Work& work, size_t index) {
  Result<events::EventPtr>& event = work.events[index];
  if (!event.ok()) return;
  const Status signatures = check_signatures(work, **event);
  event = signatures.ok() ? check_hash(*event) : signatures.error();
}

// Whether the key was valid at that time; a key that was valid once was valid before.
Task<bool> find_key_at(KeySource& source, KeyName name, int64_t time, NeededKey& needed) {
  auto key = co_await source.key(name.first, name.second, time);
  needed.unknown.reset();
  if (key.ok()) {
    needed.key = *std::move(key);
    needed.good_until_ms = time;
    co_return true;
  }
  if (key.error().code != ErrorCode::kNotFound) needed.unknown = std::move(key).error();
  co_return false;
}

Task<void> find_key(KeySource& source, KeyName name, NeededKey& needed) {
  const std::set<int64_t> times = std::exchange(needed.times, {});
  needed.asked = true;
  if (co_await find_key_at(source, name, *times.rbegin(), needed)) co_return;
  for (const int64_t time : times) {
    if (needed.unknown || !co_await find_key_at(source, name, time, needed)) co_return;
  }
}

Task<void> find_keys(runtime::Runtime& runtime, KeySource& source, WorkPtr work,
                     std::chrono::nanoseconds deadline) {
  while (work->next < work->wanted.size() && runtime.clock().steady() < deadline) {
    const auto entry = work->wanted[work->next++];
    co_await find_key(source, entry->first, entry->second);
  }
}

Task<void> find_all_keys(runtime::Runtime& runtime, KeySource& source, WorkPtr work) {
  co_await runtime::on_pool(runtime, runtime::Lane::kShort, [work] {
    for (const auto& event : work->events) {
      if (!event.ok()) continue;
      const auto signers = events::required_signers(**event);
      for (const events::SignatureRef& signature : events::signatures_of((*event)->object())) {
        const auto signer = std::ranges::find(signers, signature.entity, &ServerName::view);
        if (signer == signers.end()) continue;
        NeededKey& needed = work->keys->keys[{*signer, signature.key}];
        const bool known = needed.key && valid_at(**event) <= needed.good_until_ms;
        const bool in_vain = needed.asked && needed.unknown;
        if (!known && !in_vain) needed.times.insert(valid_at(**event));
      }
    }
    for (auto entry = work->keys->keys.begin(); entry != work->keys->keys.end(); ++entry) {
      if (!entry->second.times.empty()) work->wanted.push_back(entry);
    }
  });
  const auto deadline = runtime.clock().steady() + work->keys->patience;
  runtime::TaskGroup group(runtime);
  const auto here = runtime.shard(runtime.current_shard());
  for (size_t i = 0; i < std::min(kKeysAtOnce, work->wanted.size()); ++i)
    group.spawn(here, "find_keys", find_keys(runtime, source, work, deadline));
  co_await group.wait_all();
  work->keys->patience = std::max(deadline - runtime.clock().steady(), std::chrono::nanoseconds(0));
}

}  // namespace

// Step 2: "passes signature checks, otherwise it is dropped".
Task<Status> RoomWriter::verify_signature(events::EventPtr event, ServerName server) {
  Error failure = fail(ErrorCode::kBadSignature, "event is not signed by " + server.str());
  for (const events::SignatureRef& signature : events::signatures_of(event->object())) {
    if (signature.entity != server.view()) continue;
    const auto key = co_await keys_.key(server, signature.key, valid_at(*event));
    if (!key.ok()) {
      if (key.error().code != ErrorCode::kNotFound) failure = key.error();
      continue;
    }
    const std::string bytes = events::signed_bytes_of_event(event->object(), event->rules());
    if (key->verify(bytes, signature.signature)) co_return Status();
  }
  co_return failure;
}

Task<Result<events::EventPtr>> RoomWriter::verify(events::EventPtr event) {
  for (const ServerName& server : events::required_signers(*event))
    POLDER_CO_CHECK(co_await verify_signature(event, server));
  co_return check_hash(event);
}

Task<VerifiedEvents> RoomWriter::verify_all(std::vector<std::string> pdus,
                                            const events::RoomVersionRules& rules, RoomId room,
                                            std::shared_ptr<SignersKeys> keys) {
  if (!keys) keys = make_signers_keys();
  const auto work =
      std::make_shared<Work>(rules, std::move(room), std::move(pdus), std::move(keys));
  const size_t count = work->events.size();
  co_await for_each_on_pool(parts_.runtime, count, [work](size_t i) { parse_one(*work, i); });
  co_await find_all_keys(parts_.runtime, keys_, work);
  co_await for_each_on_pool(parts_.runtime, count, [work](size_t i) { verify_one(*work, i); });
  VerifiedEvents verified;
  std::unordered_set<EventId> ids;
  size_t dropped = 0;
  for (Result<events::EventPtr>& event : work->events) {
    if (event.ok()) {
      if (ids.insert((*event)->id()).second) verified.good.push_back(*std::move(event));
      continue;
    }
    if (is_temporary(event.error()) && !verified.undecided) verified.undecided = event.error();
    if (++dropped <= kLoggedMax) {
      parts_.runtime.log().info("event_dropped",
                                {{"room", work->room}, {"reason", event.error().message}});
    }
  }
  if (dropped > kLoggedMax)
    parts_.runtime.log().info("events_dropped", {{"room", work->room}, {"count", dropped}});
  co_return verified;
}

}  // namespace polder::rooms
