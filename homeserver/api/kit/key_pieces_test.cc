#include "homeserver/api/kit/key_pieces.h"

#include "homeserver/base/json/parse.h"
#include "homeserver/base/runtime/simulated.h"

namespace polder::kit {
namespace {

constexpr size_t kKeyBytes = 20'000;

UserId user(size_t i) {
  return UserId::trusted("@u" + std::to_string(i) + ":own");
}

// One device each, and a master key of every other.
json::Object keys_of(const users::WantedKeys& some) {
  json::Object devices;
  json::Object masters;
  for (const auto& [id, only] : some) {
    devices.set(id.str(), json::object({{"D", std::string(kKeyBytes, 'k')}}));
    if (id.view().find('2') != std::string_view::npos) masters.set(id.str(), json::Object());
  }
  return {{"device_keys", std::move(devices)}, {"master_keys", std::move(masters)}};
}

struct Seen {
  std::string text;
  size_t pieces = 0;
  size_t longest = 0;
  size_t at_once = 0;
};

Task<void> take(runtime::Runtime& runtime, KeyPieces pieces, std::shared_ptr<Seen> seen,
                std::shared_ptr<bool> done) {
  pieces.read = [seen](users::WantedKeys some) -> Task<Result<json::Object>> {
    seen->at_once = std::max(seen->at_once, some.size());
    co_return keys_of(some);
  };
  auto response = co_await keys_in_pieces(runtime, "/route", std::move(pieces));
  seen->text = response->body.at(0).bytes;
  while (response->stream) {
    auto piece = co_await response->stream->next();
    if (!piece.ok() || !*piece) break;
    ++seen->pieces;
    seen->longest = std::max(seen->longest, (*piece)->size());
    seen->text += **piece;
  }
  *done = true;
}

Seen answer(size_t users, json::Object at_hand = {}, bool all_lists = false) {
  const auto simulation = runtime::Simulation::create(1);
  const auto runtime = simulation->add_runtime("a");
  KeyPieces pieces;
  for (size_t i = 0; i < users; ++i)
    pieces.wanted.emplace_back(user(i), std::vector<std::string>());
  pieces.at_hand = std::move(at_hand);
  pieces.all_lists = all_lists;
  if (all_lists) pieces.failures = json::Object();
  const auto seen = std::make_shared<Seen>();
  const auto done = std::make_shared<bool>(false);
  runtime::spawn(*runtime, runtime->shard(0), "test",
                 take(*runtime, std::move(pieces), seen, done));
  EXPECT_TRUE(simulation->run_until([&] { return *done; }, Millis(1000)));
  return *seen;
}

TEST(KeyPieces, ManyUsersAreReadAndSentAFewAtATime) {
  const Seen seen = answer(200);
  EXPECT_GT(seen.pieces, 10u);
  EXPECT_LT(seen.longest, 20 * kKeyBytes);
  EXPECT_LE(seen.at_once, 8u);
  const auto body = json::parse_object(seen.text, {.max_bytes = 8 << 20});
  ASSERT_TRUE(body.ok()) << body.error().message;
  EXPECT_EQ(body->find_object("device_keys")->size(), 200u);
  EXPECT_EQ(body->find_object("master_keys")->size(), 38u);
  EXPECT_FALSE(body->contains("self_signing_keys"));
  EXPECT_FALSE(body->contains("failures"));
}

TEST(KeyPieces, WhatIsAtHandIsPartOfTheAnswer) {
  const json::Object at_hand{{"device_keys", json::object({{"@x:there", json::Object()}})},
                             {"self_signing_keys", json::object({{"@x:there", json::Object()}})}};
  const Seen seen = answer(1, at_hand, true);
  EXPECT_EQ(seen.pieces, 0u);
  const auto body = json::parse_object(seen.text);
  ASSERT_TRUE(body.ok()) << seen.text;
  EXPECT_EQ(body->find_object("device_keys")->size(), 2u);
  EXPECT_EQ(body->find_object("self_signing_keys")->size(), 1u);
  for (const char* empty : {"master_keys", "user_signing_keys", "failures"})
    EXPECT_TRUE(body->find_object(empty)->empty()) << empty;
}

TEST(KeyPieces, WhatBecomesKnownMeanwhileIsNotToldTwice) {
  const json::Object at_hand{{"device_keys", json::object({{user(0).str(), "asked"}})}};
  const auto body = json::parse_object(answer(2, at_hand).text);
  ASSERT_TRUE(body.ok()) << body.error().message;
  EXPECT_EQ(*body->find_object("device_keys")->find_string(user(0).view()), "asked");
  EXPECT_EQ(body->find_object("device_keys")->size(), 2u);
}

TEST(KeyPieces, NobodyIsAnAnswerToo) {
  EXPECT_EQ(answer(0).text, R"({"device_keys":{}})");
}

}  // namespace
}  // namespace polder::kit
