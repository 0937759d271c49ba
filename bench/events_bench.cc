// Verifying and signing one event, and what both are made of.
#include "bench/support/bench.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/events/signing.h"

namespace polder::events {
namespace {

const ServerName kServer = ServerName::trusted("bench.example");

crypto::SigningKey key() {
  return bench::must(
      crypto::SigningKey::from_seed(KeyId::trusted("ed25519:bench"), std::string(43, 'A')));
}

// A message as a client sends it into a room of version 12.
json::Object message() {
  EventDraft draft;
  draft.room_id = RoomId::trusted("!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM");
  draft.sender = UserId::trusted("@somebody.of.some.office:bench.example");
  draft.type = "m.room.message";
  draft.content = bench::must(json::parse_object(
      R"({"body":"The minutes of yesterday's meeting are in the usual folder; please send corrections by Friday.",)"
      R"("m.mentions":{},"msgtype":"m.text"})"));
  draft.prev_events = {EventId::trusted("$acR1l0raoZnm60CBwAVgqbZqoO_mYU81xysh1u7XcJk")};
  for (const char* id : {"$tTCXyFYzCUrGtTu2QbjVUhOFvOMjRAwyjAsxrEKa4Dg",
                         "$7oz7AaVYIvVXbVsLvFHLAmXTtHyQjJPHDCoxfcMdsx4"})
    draft.auth_events.push_back(EventId::trusted(id));
  draft.depth = 4711;
  draft.origin_server_ts = 1'790'000'000'000;
  return make_pdu(draft, *find_room_version("12"), "");
}

// From an unsigned PDU to the event that is stored: hash, signature, canonical JSON, id.
void sign(benchmark::State& state) {
  const crypto::SigningKey signing_key = key();
  const RoomVersionRules& rules = *find_room_version("12");
  const json::Object unsigned_pdu = message();
  EventPtr event;
  for ([[maybe_unused]] auto _ : state) {
    json::Object pdu = unsigned_pdu;
    hash_and_sign(pdu, rules, kServer, signing_key);
    event = bench::must(Event::parse(std::move(pdu), rules));
  }
  bench::set_result(state, event->json());
  state.counters["bytes"] = static_cast<double>(event->json().size());
}

// From the bytes that another server sent to an event whose hash and signature are right.
void verify(benchmark::State& state) {
  const crypto::SigningKey signing_key = key();
  const RoomVersionRules& rules = *find_room_version("12");
  json::Object pdu = message();
  hash_and_sign(pdu, rules, kServer, signing_key);
  const std::string sent = json::write(pdu);
  EventPtr event;
  for ([[maybe_unused]] auto _ : state) {
    event = bench::must(Event::parse(sent, rules));
    const auto signatures = signatures_of(event->object());
    const std::string bytes = signed_bytes_of_event(event->object(), rules);
    if (!content_hash_matches(event->object()) || signatures.size() != 1 ||
        !signing_key.verify_key().verify(bytes, signatures[0].signature))
      bench::give_up(fail(ErrorCode::kBadSignature, "the event does not verify"));
  }
  bench::set_result(state, event->id().view());
}

// The part of verifying that no other code can make cheaper.
void verify_signature_alone(benchmark::State& state) {
  const crypto::SigningKey signing_key = key();
  const std::string bytes = signed_bytes_of_event(message(), *find_room_version("12"));
  const crypto::Signature signature = signing_key.sign(bytes);
  for ([[maybe_unused]] auto _ : state) {
    if (!signing_key.verify_key().verify(bytes, signature))
      bench::give_up(fail(ErrorCode::kBadSignature, "the signature does not verify"));
  }
  bench::set_result(state, as_text(ByteSpan(signature)));
}

void parse(benchmark::State& state) {
  const RoomVersionRules& rules = *find_room_version("12");
  json::Object pdu = message();
  hash_and_sign(pdu, rules, kServer, key());
  const std::string sent = json::write(pdu);
  EventPtr event;
  for ([[maybe_unused]] auto _ : state)
    event = bench::must(Event::parse(sent, rules));
  bench::set_result(state, event->id().view());
}

}  // namespace

void add_benchmarks(const bench::Options&) {
  benchmark::RegisterBenchmark("events/sign", sign);
  benchmark::RegisterBenchmark("events/verify", verify);
  benchmark::RegisterBenchmark("events/verify_signature_alone", verify_signature_alone);
  benchmark::RegisterBenchmark("events/parse", parse);
}

}  // namespace polder::events

int main(int argc, char** argv) {
  return polder::bench::run(argc, argv, polder::events::add_benchmarks);
}
