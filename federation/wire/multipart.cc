#include "federation/wire/multipart.h"

#include <algorithm>

namespace polder::wire {
namespace {

constexpr size_t kHeadersMax = 20;
constexpr size_t kHeadMax = 16 * 1024;
constexpr size_t kBoundaryMax = 70;

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

Error malformed() {
  return fail(ErrorCode::kMalformed, "bad multipart body");
}

Result<std::string> boundary_of(std::string_view content_type) {
  const size_t end = content_type.find(';');
  if (lower(trim(content_type.substr(0, end))) != "multipart/mixed")
    return fail(ErrorCode::kUnsupported, "the answer is no multipart/mixed");
  while (end != std::string_view::npos && !content_type.empty()) {
    const size_t start = content_type.find(';');
    if (start == std::string_view::npos) break;
    content_type.remove_prefix(start + 1);
    const std::string_view parameter = trim(content_type.substr(0, content_type.find(';')));
    const size_t equals = parameter.find('=');
    if (equals == std::string_view::npos || lower(trim(parameter.substr(0, equals))) != "boundary")
      continue;
    std::string_view value = trim(parameter.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    if (value.empty() || value.size() > kBoundaryMax) return malformed();
    return std::string(value);
  }
  return malformed();
}

Result<Part> read_part(std::string_view text) {
  Part part;
  // An empty head: the part begins with the empty line.
  if (text.starts_with("\r\n")) {
    part.body = text.substr(2);
    return part;
  }
  const size_t end = text.substr(0, kHeadMax).find("\r\n\r\n");
  if (end == std::string_view::npos) return malformed();
  part.body = text.substr(end + 4);
  std::string_view head = text.substr(0, end);
  while (!head.empty()) {
    const size_t line_end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, line_end);
    head.remove_prefix(std::min(line_end + 2, head.size()));
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || part.headers.size() == kHeadersMax) return malformed();
    part.headers.emplace_back(lower(trim(line.substr(0, colon))),
                              std::string(trim(line.substr(colon + 1))));
  }
  return part;
}

}  // namespace

std::string_view Part::header(std::string_view lower_case_name) const {
  const auto found = std::ranges::find(
      headers, lower_case_name, [](const auto& field) { return std::string_view(field.first); });
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

Result<std::vector<Part>> read_multipart(std::string_view content_type, std::string_view body,
                                         size_t parts_max) {
  POLDER_TRY(const std::string boundary, boundary_of(content_type));
  const std::string delimiter = "\r\n--" + boundary;
  // The first delimiter may open the body; what precedes it is to be ignored.
  size_t place = 0;
  if (body.starts_with(std::string_view(delimiter).substr(2))) {
    place = delimiter.size() - 2;
  } else {
    const size_t first = body.find(delimiter);
    if (first == std::string_view::npos) return malformed();
    place = first + delimiter.size();
  }
  std::vector<Part> parts;
  while (!body.substr(place).starts_with("--")) {
    const size_t line_end = body.find("\r\n", place);
    if (line_end == std::string_view::npos || !trim(body.substr(place, line_end - place)).empty())
      return malformed();
    const size_t start = line_end + 2;
    const size_t end = body.find(delimiter, start);
    if (end == std::string_view::npos) return malformed();
    if (parts.size() == parts_max) return fail(ErrorCode::kTooLarge, "too many parts");
    POLDER_TRY(Part part, read_part(body.substr(start, end - start)));
    parts.push_back(std::move(part));
    place = end + delimiter.size();
  }
  return parts;
}

MultipartFrame frame_media(std::string_view boundary,
                           const std::vector<std::pair<std::string, std::string>>& headers) {
  MultipartFrame frame;
  frame.content_type.append("multipart/mixed; boundary=").append(boundary);
  frame.head.append("--").append(boundary);
  frame.head.append("\r\nContent-Type: application/json\r\n\r\n{}\r\n--").append(boundary);
  for (const auto& [name, value] : headers) {
    if (value.find_first_of("\r\n") == std::string::npos)
      frame.head.append("\r\n").append(name).append(": ").append(value);
  }
  frame.head.append("\r\n\r\n");
  frame.tail.append("\r\n--").append(boundary).append("--\r\n");
  return frame;
}

}  // namespace polder::wire
