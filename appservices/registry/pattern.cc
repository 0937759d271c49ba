#include "appservices/registry/pattern.h"

#include <re2/re2.h>
#include <re2/set.h>

#include <algorithm>

namespace polder::appservices {
namespace {

// With what matching keeps between texts.
constexpr int64_t kCompiledBytesMax = 64 << 10;
constexpr int64_t kSetBytesMax = 16 << 20;

re2::RE2::Options options_of(int64_t bytes_max) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(bytes_max);
  return options;
}

}  // namespace

Pattern::Pattern(std::shared_ptr<const re2::RE2> compiled) : compiled_(std::move(compiled)) {}

Result<Pattern> Pattern::compile(const std::string& regex) {
  if (regex.empty() || regex.size() > kRegexBytesMax) {
    return fail(ErrorCode::kInvalid,
                "must have from 1 to " + std::to_string(kRegexBytesMax) + " bytes");
  }
  auto compiled = std::make_shared<const re2::RE2>(regex, options_of(kCompiledBytesMax));
  if (compiled->ok()) return Pattern(std::move(compiled));
  return fail(ErrorCode::kInvalid, "is no regular expression of RE2: " + compiled->error());
}

bool Pattern::matches(std::string_view text) const {
  return compiled_->Match(re2::StringPiece(text.data(), text.size()), 0, text.size(),
                          re2::RE2::ANCHOR_START, nullptr, 0);
}

size_t Pattern::size() const {
  return static_cast<size_t>(compiled_->ProgramSize());
}

struct PatternSet::Compiled {
  re2::RE2::Set set{options_of(kSetBytesMax), re2::RE2::ANCHOR_START};
};

Result<PatternSet> PatternSet::compile(std::vector<Pattern> patterns) {
  PatternSet made;
  if (patterns.empty()) return made;
  size_t size = 0;
  const auto compiled = std::make_shared<Compiled>();
  for (const Pattern& pattern : patterns) {
    size += pattern.size();
    if (size > kSetSizeMax || compiled->set.Add(pattern.compiled_->pattern(), nullptr) < 0)
      return fail(ErrorCode::kTooLarge, "the regular expressions are too large together");
  }
  if (!compiled->set.Compile())
    return fail(ErrorCode::kTooLarge, "the regular expressions are too large together");
  made.patterns_ = std::move(patterns);
  made.compiled_ = compiled;
  return made;
}

std::vector<size_t> PatternSet::matching(std::string_view text) const {
  if (!compiled_) return {};
  std::vector<int> found;
  re2::RE2::Set::ErrorInfo error{};
  const bool any = compiled_->set.Match(re2::StringPiece(text.data(), text.size()), &found, &error);
  if (any || error.kind == re2::RE2::Set::kNoError) {
    std::ranges::sort(found);
    return {found.begin(), found.end()};
  }
  // The text led it through more states than it may keep. By themselves they need no states.
  std::vector<size_t> matching;
  for (size_t i = 0; i < patterns_.size(); ++i) {
    if (patterns_[i].matches(text)) matching.push_back(i);
  }
  return matching;
}

}  // namespace polder::appservices
