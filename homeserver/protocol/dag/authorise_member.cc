#include "homeserver/protocol/dag/authorise_member.h"

#include <optional>
#include <string>

#include "homeserver/base/crypto/keys.h"
#include "homeserver/protocol/dag/power_levels.h"
#include "homeserver/protocol/dag/rules.h"
#include "homeserver/protocol/events/signing.h"

namespace polder::dag {

using events::Event;
using events::RoomVersionRules;

namespace {

// A signature costs time: more pairs of signatures and keys than this are no honest invite.
constexpr size_t kMaxThirdPartyVerifications = 64;

// One check of one member event: what its parts share.
class MemberCheck {
 public:
  MemberCheck(const Event& event, const Event& create, const AuthState& state)
      : event_(event),
        create_(create),
        state_(state),
        rules_(event.rules()),
        sender_(event.sender().view()),
        target_(*event.state_key()),
        shift_(rules_.restricted_joins ? 1 : 0) {}

  Verdict run();

 private:
  // The sub-rules are numbered as in version 7; from version 8 on, one more stands before them.
  Refusal refuse_member(int rule, int step, std::string_view why) const {
    return refuse(Rule::kMember, {rule + shift_, step}, why);
  }
  Refusal refuse_third_party(int step, std::string_view why) const {
    return refuse(Rule::kMember, {3 + shift_, 1, step}, why);
  }
  Result<PowerLevels> levels() const {
    POLDER_TRY(const Event* levels, state_.find({"m.room.power_levels", ""}));
    return PowerLevels(create_, levels);
  }
  Result<std::string_view> join_rule() const;

  Verdict check_authorised_via() const;
  Verdict check_join() const;
  Verdict check_restricted_join() const;
  Verdict check_invite() const;
  Verdict check_third_party_invite(const json::Value& invite) const;
  Verdict check_third_party_signature(const json::Object& signed_part, const Event& invite) const;
  Verdict check_leave() const;
  Verdict check_ban() const;
  Verdict check_knock() const;

  const Event& event_;
  const Event& create_;
  const AuthState& state_;
  const RoomVersionRules& rules_;
  std::string_view sender_;
  std::string_view target_;
  int shift_;
};

// The room's join rule: "invite" without an event, empty if the event has none.
Result<std::string_view> MemberCheck::join_rule() const {
  POLDER_TRY(const Event* event, state_.find({"m.room.join_rules", ""}));
  if (!event) return std::string_view("invite");
  const std::string* rule = event->content().find_string("join_rule");
  return rule ? std::string_view(*rule) : std::string_view();
}

// https://spec.matrix.org/v1.19/rooms/v11/#authorisation-rules, rule 4
//   1. A state key and a membership must be there.
//   2. Whoever authorised a restricted join must be a user; the signature of their server is
//      checked with the others.
//   3. to 7. join, invite, leave, ban, knock: below.
//   8. No other membership.
Verdict MemberCheck::run() {
  if (!event_.content().contains("membership")) return refuse(Rule::kMember, {1}, "no membership");
  if (rules_.restricted_joins) POLDER_CHECK(check_authorised_via());
  std::string_view membership = event_.membership();
  if (membership == "join") return check_join();
  if (membership == "invite") return check_invite();
  if (membership == "leave") return check_leave();
  if (membership == "ban") return check_ban();
  if (membership == "knock" && rules_.knocking) return check_knock();
  return refuse(Rule::kMember, {(rules_.knocking ? 7 : 6) + shift_}, "unknown membership");
}

Verdict MemberCheck::check_authorised_via() const {
  const json::Value* user = event_.content().find("join_authorised_via_users_server");
  if (!user) return {};
  if (!user->as_string() || !UserId::parse(*user->as_string()).ok())
    return refuse(Rule::kMember, {2, 1}, "who authorised the join is no user");
  return {};
}

// Rule 4.3 (4.2 before version 8):
//   1. The creator's join right after the create event: allow.
//   2. Users join for themselves only.
//   3. Banned users do not.
//   4. With join rule invite (from version 7 also knock): who is invited or joined.
//   5. From version 8, with restricted (from 10 also knock_restricted): as in
//      check_restricted_join().
//   6. With join rule public: everybody (5 before version 8).
//   7. Otherwise nobody (6 before version 8).
Verdict MemberCheck::check_join() const {
  const int later = rules_.restricted_joins ? 1 : 0;
  if (event_.prev_events().size() == 1 && event_.prev_events().front() == create_.id() &&
      target_ == room_creator(create_))
    return {};
  if (sender_ != target_) return refuse_member(2, 2, "users join for themselves only");
  POLDER_TRY(auto membership, membership_in(state_, target_));
  if (membership == "ban") return refuse_member(2, 3, "the user is banned");
  POLDER_TRY(auto rule, join_rule());
  const bool is_in = membership == "join" || membership == "invite";
  if (rule == "invite" || (rule == "knock" && rules_.knocking)) {
    if (is_in) return {};
  } else if ((rule == "restricted" && rules_.restricted_joins) ||
             (rule == "knock_restricted" && rules_.knock_restricted)) {
    return is_in ? Verdict() : check_restricted_join();
  } else if (rule == "public") {
    return {};
  }
  return refuse_member(2, 6 + later, "the join rule does not let the user in");
}

// Rule 4.3.5: (1.) who is joined or invited, may; (2.) others only if a joined member who may
// invite authorised it.
Verdict MemberCheck::check_restricted_join() const {
  auto refuse_restricted = [](std::string_view why) {
    return refuse(Rule::kMember, {3, 5, 2}, why);
  };
  const std::string* user = event_.content().find_string("join_authorised_via_users_server");
  if (!user) return refuse_restricted("nobody authorised the join");
  POLDER_TRY(auto membership, membership_in(state_, *user));
  if (membership != "join") return refuse_restricted("who authorised the join is not joined");
  POLDER_TRY(auto levels, levels());
  if (levels.user(*user) < levels.invite())
    return refuse_restricted("who authorised the join may not invite");
  return {};
}

// Rule 4.4 (4.3 before version 8):
//   1. Third-party invites: as in check_third_party_invite().
//   2. The sender must be joined.
//   3. The target must be neither joined nor banned.
//   4. With at least the invite level: allow.
//   5. Otherwise refuse.
Verdict MemberCheck::check_invite() const {
  if (const json::Value* invite = event_.content().find("third_party_invite"))
    return check_third_party_invite(*invite);
  POLDER_TRY(auto sender, membership_in(state_, sender_));
  if (sender != "join") return refuse_member(3, 2, "the sender is not joined");
  POLDER_TRY(auto target, membership_in(state_, target_));
  if (target == "join" || target == "ban")
    return refuse_member(3, 3, "the target is joined or banned");
  POLDER_TRY(auto levels, levels());
  if (levels.user(sender_) < levels.invite())
    return refuse_member(3, 5, "the sender has not the level to invite");
  return {};
}

// Rule 4.4.1 (4.3.1 before version 8):
//   1. The target must not be banned.
//   2. There must be `signed`, 3. with `mxid` and `token`, 4. the former naming the target.
//   5. The room must have the third-party invite of that token, 6. of the same sender.
//   7. Some signature of `signed` must be by one of that invite's keys: allow.
//   8. Otherwise refuse.
Verdict MemberCheck::check_third_party_invite(const json::Value& invite) const {
  POLDER_TRY(auto target, membership_in(state_, target_));
  if (target == "ban") return refuse_third_party(1, "the target is banned");
  const json::Object* object = invite.as_object();
  const json::Object* signed_part = object ? object->find_object("signed") : nullptr;
  if (!signed_part) return refuse_third_party(2, "the third-party invite is not signed");
  const std::string* mxid = signed_part->find_string("mxid");
  const std::string* token = signed_part->find_string("token");
  if (!mxid || !token) return refuse_third_party(3, "no mxid or no token is signed");
  if (*mxid != target_) return refuse_third_party(4, "another mxid is signed");
  POLDER_TRY(const Event* original, state_.find({"m.room.third_party_invite", *token}));
  if (!original) return refuse_third_party(5, "the room has no third-party invite of this token");
  if (original->sender() != event_.sender())
    return refuse_third_party(6, "the third-party invite is of another sender");
  return check_third_party_signature(*signed_part, *original);
}

Verdict MemberCheck::check_third_party_signature(const json::Object& signed_part,
                                                 const Event& invite) const {
  std::vector<std::string_view> keys;
  if (const std::string* key = invite.content().find_string("public_key")) keys.push_back(*key);
  if (const json::Array* others = invite.content().find_array("public_keys")) {
    for (const json::Value& other : *others) {
      const json::Object* entry = other.as_object();
      const std::string* key = entry ? entry->find_string("public_key") : nullptr;
      if (key) keys.push_back(*key);
    }
  }
  const auto signatures = events::signatures_of(signed_part);
  if (keys.size() * signatures.size() > kMaxThirdPartyVerifications)
    return refuse_third_party(8, "too many signatures and keys");
  const std::string message =
      signatures.empty() ? std::string() : events::signed_bytes_of_json(signed_part);
  for (std::string_view text : keys) {
    auto key = crypto::VerifyKey::from_base64(text);
    if (!key.ok()) continue;
    for (const events::SignatureRef& signature : signatures) {
      if (key->verify(message, signature.signature)) return {};
    }
  }
  return refuse_third_party(8, "no signature is by a key of the third-party invite");
}

// Rule 4.5 (4.4 before version 8):
//   1. Users leave by themselves if invited, joined or (from version 7) knocking.
//   2. Otherwise the sender must be joined,
//   3. to lift a ban, with at least the ban level,
//   4. and with at least the kick level and more power than the target: allow.
//   5. Otherwise refuse.
Verdict MemberCheck::check_leave() const {
  POLDER_TRY(auto sender, membership_in(state_, sender_));
  if (sender_ == target_) {
    if (sender == "invite" || sender == "join" || (sender == "knock" && rules_.knocking)) return {};
    return refuse_member(4, 1, "the sender has nothing to leave");
  }
  if (sender != "join") return refuse_member(4, 2, "the sender is not joined");
  POLDER_TRY(auto target, membership_in(state_, target_));
  POLDER_TRY(auto levels, levels());
  const PowerLevel power = levels.user(sender_);
  if (target == "ban" && power < levels.ban())
    return refuse_member(4, 3, "the sender has not the level to lift bans");
  if (power < levels.kick() || levels.user(target_) >= power)
    return refuse_member(4, 5, "the sender has not the level to remove the target");
  return {};
}

// Rule 4.6 (4.5 before version 8):
//   1. The sender must be joined.
//   2. With at least the ban level and more power than the target: allow.
//   3. Otherwise refuse.
Verdict MemberCheck::check_ban() const {
  POLDER_TRY(auto sender, membership_in(state_, sender_));
  if (sender != "join") return refuse_member(5, 1, "the sender is not joined");
  POLDER_TRY(auto levels, levels());
  const PowerLevel power = levels.user(sender_);
  if (power < levels.ban() || levels.user(target_) >= power)
    return refuse_member(5, 3, "the sender has not the level to ban the target");
  return {};
}

// Rule 4.7 (4.6 in version 7):
//   1. The join rule must be knock (from version 10 also knock_restricted).
//   2. Users knock for themselves only.
//   3. Who is neither banned nor invited nor joined: allow.
//   4. Otherwise refuse.
Verdict MemberCheck::check_knock() const {
  POLDER_TRY(auto rule, join_rule());
  if (rule != "knock" && !(rule == "knock_restricted" && rules_.knock_restricted))
    return refuse_member(6, 1, "the join rule allows no knocks");
  if (sender_ != target_) return refuse_member(6, 2, "users knock for themselves only");
  POLDER_TRY(auto membership, membership_in(state_, sender_));
  if (membership == "ban" || membership == "invite" || membership == "join")
    return refuse_member(6, 4, "the sender is banned, invited or joined");
  return {};
}

}  // namespace

Result<std::string_view> membership_in(const AuthState& state, std::string_view user_id) {
  POLDER_TRY(const Event* member, state.find({"m.room.member", user_id}));
  return member ? member->membership() : std::string_view("leave");
}

Verdict authorise_member(const Event& event, const Event& create, const AuthState& state) {
  if (!event.is_state()) return refuse(Rule::kMember, {1}, "no state key");
  return MemberCheck(event, create, state).run();
}

}  // namespace polder::dag
