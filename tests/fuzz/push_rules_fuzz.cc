// Any bytes as a user's push rules, a pattern and a text: rules that are accepted are written as
// ones that read the same, and globs agree with the plainest matcher there is.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/push_rules/rule_set.h"

namespace polder::push_rules {
namespace {

constexpr size_t kTextMax = 64;

void require(bool condition) {
  if (!condition) std::abort();
}

// One row of the table of what matches what, for every prefix of the text.
bool matches_plainly(std::u32string_view pattern, std::u32string_view text) {
  std::vector<bool> row(text.size() + 1);
  row[0] = true;
  for (const char32_t c : pattern) {
    std::vector<bool> next(text.size() + 1);
    if (c == '*') next[0] = row[0];
    for (size_t i = 1; i <= text.size(); ++i) {
      next[i] = c == '*' ? next[i - 1] || row[i] : row[i - 1] && (c == '?' || c == text[i - 1]);
    }
    row = std::move(next);
  }
  return row[text.size()];
}

void check_glob(std::string_view pattern, std::string_view text) {
  const auto glob = base::Glob::parse(pattern, kGlobs);
  if (!glob.ok()) return;
  const std::u32string folded = base::fold_case(text);
  const bool all = glob->matches(folded);
  if (folded.size() <= kTextMax) require(all == matches_plainly(base::fold_case(pattern), folded));
  // The whole text starts and ends at boundaries.
  if (all) require(glob->matches_words(folded));
}

void check_rules(const json::Object& object) {
  auto set = RuleSet::parse(object);
  if (set.ok()) {
    const auto again = RuleSet::parse(set->changes());
    require(again.ok() && again->changes() == set->changes());
    require(again->to_json("@u:s") == set->to_json("@u:s"));
    const EventContext context{object, "!r:s", 2, [](std::string_view) { return true; }};
    (void)set->evaluate(context, {"@u:s", "u"});
  }
  RuleSet fresh;
  for (size_t i = 0; i < kKindNames.size(); ++i) {
    if (!fresh.put(static_cast<Kind>(i), "id", object, {}).ok()) continue;
    require(fresh.find(static_cast<Kind>(i), "id") != nullptr);
    require(RuleSet::parse(fresh.changes()).ok());
  }
}

}  // namespace
}  // namespace polder::push_rules

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(text.find('\n'), text.size());
  polder::push_rules::check_glob(text.substr(0, line),
                                 text.substr(std::min(line + 1, text.size())));
  const auto object = polder::json::parse_object(text);
  if (object.ok()) polder::push_rules::check_rules(*object);
  return 0;
}
