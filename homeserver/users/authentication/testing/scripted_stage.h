// A stage that answers when it is told to, and counts who asked: for tests.
#pragma once

#include <string>

#include "homeserver/base/runtime/sync.h"
#include "homeserver/users/authentication/stage.h"

namespace polder::users {

// {"answer": "right"} passes. While it holds, attempts wait.
class ScriptedStage final : public Stage {
 public:
  // The runtime outlives it.
  ScriptedStage(runtime::Runtime& runtime, std::string type)
      : type_(std::move(type)), let_go_(runtime) {}

  std::string_view type() const override { return type_; }
  Task<Result<Refusal>> attempt(std::optional<UserId>, json::Object auth) override {
    ++attempts;
    while (holds)
      co_await let_go_.wait();
    const std::string* answer = auth.find_string("answer");
    if (answer == nullptr) co_return fail(ErrorCode::kMissing, "answer is missing");
    if (*answer == "right") co_return Refusal();
    co_return Refusal(fail(ErrorCode::kForbidden, "M_FORBIDDEN", "wrong"));
  }
  void let_go() {
    holds = false;
    let_go_.notify_all();
  }

  size_t attempts = 0;
  bool holds = false;

 private:
  const std::string type_;
  runtime::Signal let_go_;
};

}  // namespace polder::users
