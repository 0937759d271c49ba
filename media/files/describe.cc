#include "media/files/describe.h"

#include <algorithm>
#include <array>

#include "homeserver/base/values/bytes.h"

namespace polder::media {
namespace {

// https://spec.matrix.org/v1.19/client-server-api/#serving-inline-content
constexpr std::array<std::string_view, 26> kInlineTypes = {
    "text/css",    "text/plain", "text/csv",    "application/json", "application/ld+json",
    "image/jpeg",  "image/gif",  "image/png",   "image/apng",       "image/webp",
    "image/avif",  "video/mp4",  "video/webm",  "video/ogg",        "video/quicktime",
    "audio/mp4",   "audio/webm", "audio/aac",   "audio/mpeg",       "audio/ogg",
    "audio/wave",  "audio/wav",  "audio/x-wav", "audio/x-pn-wav",   "audio/flac",
    "audio/x-flac"};

bool is_control(char c) {
  return (c >= 0 && c < ' ') || c == 0x7f;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

bool is_content_type(std::string_view text) {
  return text.size() <= kContentTypeMax &&
         std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7f; });
}

// Control characters are of no use in a name, and of much use to who wants to deceive.
std::string clean(std::string_view name) {
  std::string out;
  std::ranges::copy_if(name, std::back_inserter(out), [](char c) { return !is_control(c); });
  return out;
}

// The value of a parameter that begins here; `rest` goes on behind it.
std::string take_value(std::string_view& rest) {
  std::string value;
  if (!rest.starts_with('"')) {
    const size_t end = std::min(rest.find(';'), rest.size());
    value = trim(rest.substr(0, end));
    rest.remove_prefix(end);
    return value;
  }
  rest.remove_prefix(1);
  while (!rest.empty() && rest.front() != '"') {
    if (rest.front() == '\\' && rest.size() > 1) rest.remove_prefix(1);
    value.push_back(rest.front());
    rest.remove_prefix(1);
  }
  rest.remove_prefix(std::min(rest.find(';'), rest.size()));
  return value;
}

// RFC 8187: charset'language'percent-encoded.
std::string decode_extended(std::string_view value) {
  const size_t first = value.find('\'');
  const size_t second = first == std::string_view::npos ? first : value.find('\'', first + 1);
  if (second == std::string_view::npos || lower(value.substr(0, first)) != "utf-8") return {};
  auto decoded = base::percent_decode(value.substr(second + 1));
  return decoded.ok() ? *std::move(decoded) : std::string();
}

}  // namespace

Result<Description> describe(std::string_view content_type, std::string_view file_name) {
  if (!is_content_type(content_type)) return fail(ErrorCode::kInvalid, "Not a content type");
  if (file_name.size() > kFileNameMax) return fail(ErrorCode::kInvalid, "The name is too long");
  if (!base::is_utf8(file_name)) return fail(ErrorCode::kInvalid, "The name is not UTF-8");
  return Description{std::string(content_type.empty() ? kDefaultType : content_type),
                     clean(file_name)};
}

Description describe_remote(std::string_view content_type, std::string_view disposition) {
  const std::string name = file_name_of(disposition);
  const bool good_type = is_content_type(content_type);
  return *describe(good_type ? content_type : kDefaultType,
                   describe("", name).ok() ? std::string_view(name) : std::string_view());
}

std::string content_disposition(const Description& what) {
  const std::string type =
      lower(trim(std::string_view(what.content_type).substr(0, what.content_type.find(';'))));
  std::string header =
      std::ranges::find(kInlineTypes, type) != kInlineTypes.end() ? "inline" : "attachment";
  if (what.file_name.empty()) return header;
  const bool plain = std::ranges::all_of(what.file_name, [](char c) {
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\' && c != '%';
  });
  if (plain) return header.append("; filename=\"").append(what.file_name).append("\"");
  return header.append("; filename*=UTF-8''").append(base::percent_encode(what.file_name));
}

std::string file_name_of(std::string_view disposition) {
  std::string name;
  size_t start = disposition.find(';');
  while (start != std::string_view::npos) {
    disposition = trim(disposition.substr(start + 1));
    const size_t equals = disposition.find_first_of("=;");
    if (equals == std::string_view::npos) break;
    if (disposition[equals] == ';') {
      start = equals;
      continue;
    }
    const std::string parameter = lower(trim(disposition.substr(0, equals)));
    disposition = trim(disposition.substr(equals + 1));
    const std::string value = take_value(disposition);
    if (parameter == "filename*") {
      std::string extended = decode_extended(value);
      if (!extended.empty()) return extended;
    }
    if (parameter == "filename" && name.empty()) name = value;
    start = disposition.find(';');
  }
  return name;
}

}  // namespace polder::media
