#include "homeserver/api/kit/respond.h"

#include <gtest/gtest.h>

#include "homeserver/base/runtime/simulated.h"

namespace polder::kit {
namespace {

class LinesLog final : public Log {
 public:
  bool enabled(LogLevel) const override { return true; }
  void write(LogLevel, std::string_view event, std::span<const base::LogField>) override {
    lines.emplace_back(event);
  }
  std::vector<std::string> lines;
};

Task<void> read_all(http::BodySource& body, std::string& seen) {
  while (true) {
    auto piece = co_await body.next();
    if (!piece.ok()) seen += "!";
    if (!piece.ok() || !*piece) co_return;
    seen += **piece;
  }
}

TEST(Streamed, EndsWithTheFirstErrorWhichIsLogged) {
  const auto simulation = runtime::Simulation::create(1);
  const auto runtime = simulation->add_runtime("a");
  LinesLog log;
  for (const bool fails : {false, true}) {
    int pieces = 0;
    const auto body =
        streamed(log, "/route", [&pieces, fails]() -> Task<Result<std::optional<std::string>>> {
          if (++pieces <= 2) co_return std::optional(std::to_string(pieces));
          if (fails) co_return fail(ErrorCode::kCorrupt, "a bad block");
          co_return std::optional<std::string>();
        });
    std::string seen;
    runtime::spawn(*runtime, runtime->shard(0), "read", read_all(*body, seen));
    simulation->run_for(Millis(1));
    EXPECT_EQ(seen, fails ? "12!" : "12");
  }
  EXPECT_EQ(log.lines, std::vector<std::string>{"request_failed"});
}

}  // namespace
}  // namespace polder::kit
