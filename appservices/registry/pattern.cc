#include "appservices/registry/pattern.h"

#include <re2/re2.h>

namespace polder::appservices {
namespace {

constexpr int64_t kCompiledBytesMax = 1 << 20;  // with what matching keeps between texts

}  // namespace

Pattern::Pattern(std::shared_ptr<const re2::RE2> compiled) : compiled_(std::move(compiled)) {}

Result<Pattern> Pattern::compile(const std::string& regex) {
  if (regex.empty() || regex.size() > kRegexBytesMax) {
    return fail(ErrorCode::kInvalid,
                "must have from 1 to " + std::to_string(kRegexBytesMax) + " bytes");
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kCompiledBytesMax);
  auto compiled = std::make_shared<const re2::RE2>(regex, options);
  if (compiled->ok()) return Pattern(std::move(compiled));
  return fail(ErrorCode::kInvalid, "is no regular expression of RE2: " + compiled->error());
}

bool Pattern::matches(std::string_view text) const {
  return compiled_->Match(re2::StringPiece(text.data(), text.size()), 0, text.size(),
                          re2::RE2::ANCHOR_START, nullptr, 0);
}

}  // namespace polder::appservices
