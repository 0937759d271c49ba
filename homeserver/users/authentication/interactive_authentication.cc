#include "homeserver/users/authentication/interactive_authentication.h"

#include "homeserver/base/json/reader.h"
#include "homeserver/base/values/ip_address.h"

namespace polder::users {
namespace {

using Fit = AuthenticationSession::Fit;

// Who has one address of IPv6 has all of its network.
std::string network_of(const std::string& address) {
  const auto parsed = IpAddress::parse(address);
  if (!parsed) return address;
  const IpAddress plain = parsed->unmapped();
  return plain.is_v4() ? plain.str() : plain.prefix(64).str();
}

std::string owner_of(const GuardedRequest& request) {
  return request.user ? request.user->str() : network_of(request.address);
}

// Whether somebody else has it is nobody's business.
Error no_session() {
  return fail(ErrorCode::kForbidden, "M_UNKNOWN", "The session is not known, or over");
}

Error other_parameters() {
  return fail(ErrorCode::kForbidden, "M_UNKNOWN",
              "The session is for a request that says other things");
}

Error other_operation() {
  return fail(ErrorCode::kForbidden, "The session is for another operation");
}

Error not_next(const std::string& stage) {
  return fail(ErrorCode::kForbidden, "M_FORBIDDEN", "No flow goes on with the stage " + stage);
}

}  // namespace

InteractiveAuthentication::InteractiveAuthentication(runtime::Runtime& runtime,
                                                     std::vector<Stage*> stages,
                                                     AuthenticationBounds bounds)
    : stages_(std::move(stages)),
      of_users_(runtime.clock(), runtime.random(), bounds.users),
      of_addresses_(runtime.clock(), runtime.random(), bounds.addresses),
      turns_(runtime) {}

SessionTable& InteractiveAuthentication::table_of(const GuardedRequest& request) {
  return request.user ? of_users_ : of_addresses_;
}

json::Object InteractiveAuthentication::recall(const GuardedRequest& request,
                                               const json::Object& auth) {
  const std::string* id = auth.find_string("session");
  const auto session = id != nullptr ? table_of(request).find(*id) : std::nullopt;
  if (!session) return request.parameters;
  const Fit fit = session->fit(request);
  if (fit == Fit::kOtherAsker || fit == Fit::kOtherOperation) return request.parameters;
  return session->completed_by_earlier(request);
}

InteractiveAnswer InteractiveAuthentication::challenge_anew(const GuardedRequest& request,
                                                            Error why) {
  AuthenticationSession session(request);
  const std::string id = table_of(request).add(owner_of(request), session);
  return {false, session.challenge(id, std::move(why))};
}

Task<Result<InteractiveAnswer>> InteractiveAuthentication::perform(GuardedRequest request,
                                                                   std::optional<json::Object> auth,
                                                                   CarryOut carry_out) {
  if (!auth) {
    AuthenticationSession session(request);
    const std::string id = table_of(request).add(owner_of(request), session);
    co_return InteractiveAnswer{false, session.challenge(id)};
  }
  const json::Reader in(*auth, "auth.");
  POLDER_CO_TRY(std::string type, in.string_or("type", ""));
  POLDER_CO_TRY(std::string id, in.string_or("session", ""));
  Submission submission{std::move(request), *std::move(auth), std::move(type), std::move(id),
                        std::move(carry_out)};
  if (submission.session.empty()) co_return co_await begin(std::move(submission));
  // Before its turn, so that nobody waits in a line, or makes one, without having the session.
  const auto session = table_of(submission.request).find(submission.session);
  const Fit fit = session ? session->fit(submission.request) : Fit::kOtherAsker;
  if (fit == Fit::kOtherOperation) co_return other_operation();
  if (fit != Fit::kSame) {
    co_return challenge_anew(submission.request,
                             fit == Fit::kOtherParameters ? other_parameters() : no_session());
  }
  const uint64_t key = std::hash<std::string>()(submission.session);
  auto turn = [this, submission = std::move(submission)] { return go_on(submission); };
  co_return co_await turns_.in_turn(key, std::move(turn));
}

// All in one request, as many clients do it where one stage is enough: a session only if it is not.
Task<Result<InteractiveAnswer>> InteractiveAuthentication::begin(Submission submission) {
  AuthenticationSession session(submission.request);
  POLDER_CO_TRY(const Refusal refusal, co_await advance(session, submission));
  if (session.authorised()) {
    POLDER_CO_TRY(json::Object result, co_await submission.carry_out());
    co_return InteractiveAnswer{true, std::move(result)};
  }
  SessionTable& table = table_of(submission.request);
  const std::string id = table.add(owner_of(submission.request), session);
  co_return InteractiveAnswer{false, session.challenge(id, refusal)};
}

// In the session's turn.
Task<Result<InteractiveAnswer>> InteractiveAuthentication::go_on(Submission submission) {
  SessionTable& table = table_of(submission.request);
  auto session = table.find(submission.session);
  if (!session) co_return challenge_anew(submission.request, no_session());
  session->remember(submission.request);
  POLDER_CO_TRY(const Refusal refusal, co_await advance(*session, submission));
  table.update(submission.session, *session);
  if (!session->authorised())
    co_return InteractiveAnswer{false, session->challenge(submission.session, refusal)};
  if (!session->result()) {
    POLDER_CO_TRY(json::Object result, co_await submission.carry_out());
    session->carry_out(std::move(result));
    table.update(submission.session, *session);
  }
  co_return InteractiveAnswer{true, *session->result()};
}

Task<Result<Refusal>> InteractiveAuthentication::advance(AuthenticationSession& session,
                                                         Submission& submission) {
  const std::string& type = submission.type;
  if (type.empty() || session.authorised() || session.has_completed(type)) co_return Refusal();
  if (!session.may_attempt(type)) co_return Refusal(not_next(type));
  for (Stage* stage : stages_) {
    if (stage->type() != type) continue;
    POLDER_CO_TRY(Refusal refusal,
                  co_await stage->attempt(submission.request.user, submission.auth));
    if (!refusal) session.complete(type);
    co_return refusal;
  }
  co_return fail(ErrorCode::kInternal, "a flow has a stage that is not known");
}

}  // namespace polder::users
