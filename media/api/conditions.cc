#include "media/api/conditions.h"

#include <algorithm>
#include <charconv>

namespace polder::media_api {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

bool is_unchanged(const http::Headers& headers, std::string_view etag) {
  std::string_view rest = headers.find("If-None-Match");
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    std::string_view candidate = trim(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    if (candidate == "*") return true;
    if (candidate.starts_with("W/")) candidate.remove_prefix(2);
    if (candidate == etag) return true;
  }
  return false;
}

Wanted wanted_range(const http::Headers& headers, std::string_view etag, uint64_t size) {
  const Wanted whole{RangeKind::kWhole, {0, size}};
  constexpr std::string_view kUnit = "bytes=";
  std::string_view text = headers.find("Range");
  const std::string_view only_if = headers.find("If-Range");
  if (!text.starts_with(kUnit) || (!only_if.empty() && only_if != etag)) return whole;
  text = trim(text.substr(kUnit.size()));
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos) return whole;
  const auto first = number(text.substr(0, dash));
  const auto last = number(text.substr(dash + 1));
  if (dash == 0) {  // the last bytes
    if (!last) return whole;
    const uint64_t length = std::min(*last, size);
    if (length == 0) return {RangeKind::kUnsatisfiable, {}};
    return {RangeKind::kPart, {size - length, length}};
  }
  if (!first || (!last && dash + 1 < text.size()) || (last && *last < *first)) return whole;
  if (*first >= size) return {RangeKind::kUnsatisfiable, {}};
  const uint64_t end = last && *last < size ? *last + 1 : size;
  return {RangeKind::kPart, {*first, end - *first}};
}

}  // namespace polder::media_api
