#include "homeserver/users/authentication/authentication_session.h"

#include <algorithm>

#include "homeserver/base/crypto/hash.h"
#include "homeserver/base/json/write.h"

namespace polder::users {
namespace {

// What a session takes besides its texts.
constexpr size_t kBaseBytes = sizeof(AuthenticationSession) + 512;

}  // namespace

AuthenticationSession::AuthenticationSession(const GuardedRequest& first)
    : operation_(first.operation),
      user_(first.user),
      device_(first.device),
      kind_(first.kind),
      flows_(first.flows),
      digest_{} {
  keep(first.parameters);
}

void AuthenticationSession::keep(const json::Object& parameters) {
  const std::string text = json::write(parameters);
  digest_ = crypto::sha256(text);
  drop_kept();
  if (kind_ == Parameters::kSameAndSecret || text.size() > kSessionBytesMax) return;
  kept_ = parameters;
  kept_bytes_ = text.size();
}

void AuthenticationSession::drop_kept() {
  kept_.reset();
  kept_bytes_ = 0;
}

AuthenticationSession::Fit AuthenticationSession::fit(const GuardedRequest& request) const {
  if (request.user != user_ || request.device != device_) return Fit::kOtherAsker;
  if (request.operation != operation_) return Fit::kOtherOperation;
  if (request.flows != flows_) return Fit::kOtherFlows;
  if (kind_ == Parameters::kGathered) return Fit::kSame;
  const Digest digest = crypto::sha256(json::write(request.parameters));
  return digest == digest_ ? Fit::kSame : Fit::kOtherParameters;
}

json::Object AuthenticationSession::completed_by_earlier(const GuardedRequest& request) const {
  json::Object parameters = request.parameters;
  if (!kept_ || (kind_ != Parameters::kGathered && !parameters.empty())) return parameters;
  for (const auto& [name, value] : *kept_) {
    if (!parameters.contains(name)) parameters.set(name, value);
  }
  return parameters;
}

void AuthenticationSession::remember(const GuardedRequest& request) {
  if (kind_ == Parameters::kGathered && !result_) keep(request.parameters);
}

bool AuthenticationSession::may_attempt(std::string_view stage) const {
  return may_follow(flows_, completed_, stage);
}

bool AuthenticationSession::has_completed(std::string_view stage) const {
  return std::ranges::find(completed_, stage) != completed_.end();
}

void AuthenticationSession::complete(std::string_view stage) {
  completed_.emplace_back(stage);
}

void AuthenticationSession::carry_out(json::Object result) {
  result_bytes_ = json::write(result).size();
  result_ = std::move(result);
  if (kind_ == Parameters::kGathered || kept_bytes_ + result_bytes_ > kSessionBytesMax) drop_kept();
}

json::Object AuthenticationSession::challenge(std::string_view id) const {
  return {{"flows", flows_json(flows_)}, {"params", json::Object()}, {"session", id}};
}

json::Object AuthenticationSession::challenge(std::string_view id,
                                              const std::optional<Error>& refusal) const {
  json::Object body = challenge(id);
  body.set("completed", json::Array(completed_.begin(), completed_.end()));
  if (refusal) {
    body.set("errcode", refusal->errcode.view());
    body.set("error", refusal->message);
  }
  return body;
}

size_t AuthenticationSession::bytes() const {
  return kBaseBytes + operation_.size() + kept_bytes_ + result_bytes_;
}

}  // namespace polder::users
