// Reading and writing JSON: an event of ordinary size, one as large as they may be, and the answer
// to a join of a large room. `plain` is the reader that tests compare the real one with.
#include "bench/support/bench.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/testing/plain_reader.h"
#include "homeserver/base/json/write.h"

namespace polder::json {
namespace {

constexpr size_t kLargestEventBytes = 65'000;
constexpr size_t kJoinBytes = 20'000'000;
constexpr size_t kSmokeJoinBytes = 200'000;
constexpr ParseLimits kEventLimits{.numbers = Numbers::kCanonical};
constexpr ParseLimits kJoinLimits{.max_bytes = 2 * kJoinBytes};

// As another server sends it: canonical, signed, no unsigned.
std::string message(std::string_view body) {
  return write(object(
      {{"auth_events", Array{"$tTCXyFYzCUrGtTu2QbjVUhOFvOMjRAwyjAsxrEKa4Dg"}},
       {"content", object({{"body", body}, {"m.mentions", Object()}, {"msgtype", "m.text"}})},
       {"depth", 4711},
       {"hashes", object({{"sha256", "thJ9KBMkTuxxvT8mbfnOo4TKgFvAS6Xux3lRPZU3nPk"}})},
       {"origin_server_ts", int64_t{1'790'000'000'000}},
       {"prev_events", Array{"$acR1l0raoZnm60CBwAVgqbZqoO_mYU81xysh1u7XcJk"}},
       {"room_id", "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM"},
       {"sender", "@somebody:bench.example"},
       {"signatures",
        object({{"bench.example", object({{"ed25519:bench", std::string(86, 'A')}})}})},
       {"type", "m.room.message"}}));
}

// With line breaks and quotes here and there, as long texts have them.
std::string largest_event() {
  std::string body;
  while (body.size() < kLargestEventBytes)
    body +=
        "The minutes of yesterday's meeting are in the \"usual\" folder; corrections by Friday.\n";
  return message(body);
}

Value member_event(size_t number) {
  const std::string user = "@member" + std::to_string(number) + ":bench.example";
  const std::string id(43, static_cast<char>('a' + number % 26));
  return object({{"auth_events", Array{"$" + id, "$7oz7AaVYIvVXbVsLvFHLAmXTtHyQjJPHDCoxfcMdsx4"}},
                 {"content", object({{"avatar_url", nullptr},
                                     {"displayname", "Member " + std::to_string(number)},
                                     {"membership", "join"}})},
                 {"depth", static_cast<int64_t>(number)},
                 {"hashes", object({{"sha256", id}})},
                 {"origin_server_ts", static_cast<int64_t>(1'790'000'000'000 + number)},
                 {"prev_events", Array{"$" + id}},
                 {"room_id", "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM"},
                 {"sender", user},
                 {"signatures",
                  object({{"bench.example", object({{"ed25519:bench", std::string(86, 'A')}})}})},
                 {"state_key", user},
                 {"type", "m.room.member"}});
}

std::string join_answer(size_t bytes) {
  std::string out;
  Writer writer(out);
  writer.begin_object().member("origin", "bench.example").key("auth_chain").begin_array();
  writer.end_array().key("state").begin_array();
  for (size_t i = 0; out.size() < bytes; ++i)
    writer.value(member_event(i));
  writer.end_array().end_object();
  return out;
}

using Reader = Result<Value> (*)(std::string_view text, const ParseLimits& limits);

void read(benchmark::State& state, Reader reader, const std::string& text,
          const ParseLimits& limits) {
  for ([[maybe_unused]] auto _ : state)
    benchmark::DoNotOptimize(bench::must(reader(text, limits)));
  bench::set_result(state, write(bench::must(reader(text, limits))));
  state.SetBytesProcessed(static_cast<int64_t>(text.size()) * state.iterations());
}

void write_again(benchmark::State& state, const std::string& text, const ParseLimits& limits) {
  const Value value = bench::must(parse(text, limits));
  std::string out;
  for ([[maybe_unused]] auto _ : state)
    benchmark::DoNotOptimize(out = write(value));
  bench::set_result(state, out);
  state.SetBytesProcessed(static_cast<int64_t>(text.size()) * state.iterations());
}

void copy(benchmark::State& state, const std::string& text, const ParseLimits& limits) {
  const Value value = bench::must(parse(text, limits));
  for ([[maybe_unused]] auto _ : state)
    benchmark::DoNotOptimize(Value(value));
}

}  // namespace

void add_benchmarks(const bench::Options& options) {
  const auto add = [](const std::string& name, const std::string& text, const ParseLimits& limits) {
    benchmark::RegisterBenchmark(("json/read/" + name).c_str(), read, parse, text, limits);
    benchmark::RegisterBenchmark(("json/read_plainly/" + name).c_str(), read, parse_plainly, text,
                                 limits);
    benchmark::RegisterBenchmark(("json/write/" + name).c_str(), write_again, text, limits);
    benchmark::RegisterBenchmark(("json/copy/" + name).c_str(), copy, text, limits);
  };
  add("event", message("Corrections by Friday, please."), kEventLimits);
  add("largest_event", largest_event(), kEventLimits);
  add("join", join_answer(options.smoke ? kSmokeJoinBytes : kJoinBytes), kJoinLimits);
}

}  // namespace polder::json

int main(int argc, char** argv) {
  return polder::bench::run(argc, argv, polder::json::add_benchmarks);
}
