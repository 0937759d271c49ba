// The User-Interactive Authentication API: requests that are carried out once whoever makes them
// has completed the stages of a flow. What it says, HTTP carries elsewhere.
// https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "homeserver/base/runtime/sync.h"
#include "homeserver/users/authentication/session_table.h"
#include "homeserver/users/authentication/stage.h"

namespace polder::users {

// Sessions of users, and of addresses from which somebody registers; neither crowd out the others.
struct AuthenticationBounds {
  SessionBounds users;
  SessionBounds addresses{.of_owner = 100};  // an office
};

// The body of what is answered.
struct InteractiveAnswer {
  bool carried_out = false;  // else it is a challenge, of a 401 response
  json::Object body;
};

// Thread-safe.
class InteractiveAuthentication {
 public:
  // All outlive it. The flows of requests are of these stages.
  InteractiveAuthentication(runtime::Runtime& runtime, std::vector<Stage*> stages,
                            AuthenticationBounds bounds = {});

  // The parameters of a request as they are meant, if its `auth` names a session of it in which
  // more was said; else as they are. Nothing of it proves anything yet.
  json::Object recall(const GuardedRequest& request, const json::Object& auth);

  // Carries the request out, if `auth` (null: the client shows nothing yet) proves, with what its
  // session knows, that it may be: once for a session, whose result is the answer to whoever
  // repeats the request. An error of `carry_out` is given once, so that the client may try again.
  // Other errors: kForbidden if the session is the asker's, for another operation; kBadType; those
  // of stages.
  using CarryOut = std::function<Task<Result<json::Object>>()>;
  Task<Result<InteractiveAnswer>> perform(GuardedRequest request, std::optional<json::Object> auth,
                                          CarryOut carry_out);

 private:
  // Of one request.
  struct Submission {
    GuardedRequest request;
    json::Object auth;
    std::string type;     // of the stage; empty: none is attempted
    std::string session;  // empty: none yet
    CarryOut carry_out;
  };
  Task<Result<InteractiveAnswer>> begin(Submission submission);
  Task<Result<InteractiveAnswer>> go_on(Submission submission);
  // Attempts the stage, if there is anything to attempt.
  Task<Result<Refusal>> advance(AuthenticationSession& session, Submission& submission);
  InteractiveAnswer challenge_anew(const GuardedRequest& request, Error why);
  SessionTable& table_of(const GuardedRequest& request);

  const std::vector<Stage*> stages_;
  SessionTable of_users_;
  SessionTable of_addresses_;
  runtime::KeyedQueues turns_;  // by a hash of the session's id
};

}  // namespace polder::users
