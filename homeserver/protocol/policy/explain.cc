#include "homeserver/protocol/policy/explain.h"

#include <array>
#include <functional>

namespace polder::policy {
namespace {

struct Word {
  std::string_view name;
  std::string_view meaning;
  void (*apply)(Question&, std::string_view value);
};

Account& account(Question& question) {
  return question.facts.account ? *question.facts.account : question.facts.account.emplace();
}
Redaction& redaction(Question& question) {
  return question.facts.redaction ? *question.facts.redaction : question.facts.redaction.emplace();
}

Federation& federation(Question& question) {
  return question.facts.federation ? *question.facts.federation
                                   : question.facts.federation.emplace();
}

constexpr std::array kFactWords = {
    Word{"by=client", "a user acts through a client, which is the default",
         [](Question& q, std::string_view) { q.actor = Client(); }},
    Word{"by=administrator", "somebody acts through the administration API or the command line",
         [](Question& q, std::string_view) { q.actor = Administrator(); }},
    Word{"by=application_service", "a bridge acts",
         [](Question& q, std::string_view) { q.actor = ApplicationService(); }},
    Word{"by=server", "this server acts by itself, or another one",
         [](Question& q, std::string_view) { q.actor = Server(); }},
    Word{"guest", "the user is a guest",
         [](Question& q, std::string_view) { account(q).guest = true; }},
    Word{"deactivated", "the user was deactivated",
         [](Question& q, std::string_view) { account(q).deactivated = true; }},
    Word{"erased", "the user was erased",
         [](Question& q, std::string_view) { account(q).erased = true; }},
    Word{"admin", "the user is a server administrator",
         [](Question& q, std::string_view) { account(q).administrator = true; }},
    Word{"guest_access=", "what the room's m.room.guest_access says",
         [](Question& q, std::string_view value) { q.facts.guest_access = value; }},
    Word{"registration=closed", "not anybody may register",
         [](Question& q, std::string_view) { q.facts.registration.emplace().open = false; }},
    Word{"federation=off", "no other server is talked to",
         [](Question& q, std::string_view) { federation(q).off = true; }},
    Word{"server=own", "the other server is this one",
         [](Question& q, std::string_view) { federation(q).own_server = true; }},
    Word{"target=own", "the event to be redacted is the user's own",
         [](Question& q, std::string_view) {
           redaction(q).target_known = redaction(q).own_event = redaction(q).local_event = true;
         }},
    Word{"target=local", "it is of another user of this server",
         [](Question& q, std::string_view) {
           redaction(q).target_known = redaction(q).local_event = true;
         }},
    Word{"target=remote", "it is of a user of another server",
         [](Question& q, std::string_view) { redaction(q).target_known = true; }},
    Word{"target=unknown", "it is not here",
         [](Question& q, std::string_view) { redaction(q).target_known = false; }},
    Word{"target=elsewhere", "it is of another room",
         [](Question& q, std::string_view) { redaction(q).target_elsewhere = true; }},
    Word{"target=create", "it is the one that created the room",
         [](Question& q, std::string_view) {
           redaction(q).target_known = redaction(q).creates_room = true;
         }},
    Word{"redact_level", "the user has the room's redact level",
         [](Question& q, std::string_view) { redaction(q).has_level = true; }},
};

// The value that the word was given; nothing if this is another word.
std::optional<std::string_view> value_in(const Word& known, std::string_view word) {
  if (word == known.name) return std::string_view();
  if (known.name.ends_with('=') && word.starts_with(known.name))
    return word.substr(known.name.size());
  return std::nullopt;
}

Status add_word(Question& question, std::string_view word) {
  for (const Word& known : kFactWords) {
    if (const auto value = value_in(known, word)) {
      known.apply(question, *value);
      return {};
    }
  }
  return fail(ErrorCode::kInvalid, std::string("not known: ").append(word));
}

std::string told(const Finding& finding) {
  if (const auto* refusal = std::get_if<Refusal>(&finding))
    return "refuses: " + std::string(refusal->errcode.view()) + ", " + refusal->reason;
  if (const auto* permission = std::get_if<Permission>(&finding))
    return "permits, by the privilege " + std::string(permission->privilege);
  return "says nothing";
}

}  // namespace

Result<Question> parse_question(std::span<const std::string> words) {
  if (words.empty()) return fail(ErrorCode::kInvalid, "which act?");
  Question question;
  const auto point = point_of(words[0]);
  if (!point) return fail(ErrorCode::kInvalid, "no such act: " + words[0]);
  question.act.point = *point;
  for (const std::string& word : words.subspan(1))
    POLDER_CHECK(add_word(question, word));
  return question;
}

std::string vocabulary() {
  std::string text = "acts:";
  for (size_t i = 0; i < kPoints; ++i)
    text.append(" ").append(to_string(static_cast<Point>(i)));
  text.append("\nfacts:\n");
  for (const Word& word : kFactWords)
    text.append("  ").append(word.name).append(": ").append(word.meaning).append("\n");
  return text;
}

std::string explain(const Question& question) {
  std::string text;
  for (const Rule& rule : rules()) {
    const Finding finding = rule.check(question.act, question.actor, question.facts);
    text.append(rule.name).append(" ").append(told(finding));
    text.append(" (").append(rule.why).append(")\n");
  }
  const Decision decision = decide(question.act, question.actor, question.facts);
  if (const Refusal* refusal = refusal_of(decision))
    return text + "refused by " + std::string(refusal->rule) + "\n";
  return text + "permitted\n";
}

}  // namespace polder::policy
