#include "homeserver/base/http/request_head.h"

#include <algorithm>
#include <charconv>

#include "homeserver/base/http/limits.h"

namespace polder::http {
namespace {

constexpr std::string_view kBlank = " \t";
constexpr std::string_view kLineEnd = "\r\n";

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// RFC 9110, section 5.6.2.
bool is_token_character(char c) {
  return is_alphanumeric(c) ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_character);
}

// What stands in no head but as the end of a line; a tab may stand in a value.
bool is_control(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
}

bool same(std::string_view text, std::string_view lower_case) {
  return std::ranges::equal(text, lower_case, {}, lower);
}

std::string_view trim(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  return text.substr(0, text.find_last_not_of(kBlank) + 1);
}

// Whether a list, which may be spread over several fields, names an element.
bool lists(const Headers& headers, std::string_view name, std::string_view element) {
  for (const auto& [field, value] : headers) {
    if (!same(field, name)) continue;
    for (size_t start = 0; start <= value.size();) {
      const size_t comma = std::min(value.find(',', start), value.size());
      if (same(trim(std::string_view(value).substr(start, comma - start)), element)) return true;
      start = comma + 1;
    }
  }
  return false;
}

// host [ ":" port ], RFC 9110, section 4.2.1: without user information.
bool is_authority(std::string_view text) {
  const size_t bracket = text.rfind(']');
  const size_t colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
  const std::string_view host = text.substr(0, colon);
  if (colon != std::string_view::npos && !std::ranges::all_of(text.substr(colon + 1), is_digit))
    return false;
  if (host.starts_with('[')) {
    return host.size() > 2 && host.ends_with(']') &&
           std::ranges::all_of(host.substr(1, host.size() - 2),
                               [](char c) { return is_alphanumeric(c) || c == ':' || c == '.'; });
  }
  return std::ranges::all_of(host, [](char c) {
    return is_alphanumeric(c) ||
           std::string_view("-._~!$&'()*+,;=%").find(c) != std::string_view::npos;
  });
}

class HeadParser {
 public:
  std::variant<RequestHead, HeadFault> parse(std::string_view bytes) {
    while (bytes.starts_with(kLineEnd))
      bytes.remove_prefix(kLineEnd.size());
    const bool good =
        request_line(next_line(bytes)) && fields(bytes) && target() && host() && body();
    if (!good) return std::move(fault_);
    Headers& headers = head_.request.headers;
    head_.keep_alive = head_.http11 && !lists(headers, "connection", "close");
    head_.expects_continue = head_.http11 && lists(headers, "expect", "100-continue");
    return std::move(head_);
  }

 private:
  bool refuse(int status, std::string reason) {
    fault_ = {status, std::move(reason)};
    return false;
  }

  static std::string_view next_line(std::string_view& bytes) {
    const size_t end = std::min(bytes.find(kLineEnd), bytes.size());
    const std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(std::min(end + kLineEnd.size(), bytes.size()));
    return line;
  }

  // RFC 9112, section 3: three words with one space between them.
  bool request_line(std::string_view line) {
    const size_t first = line.find(' ');
    const size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == last || !is_token(line.substr(0, first)))
      return refuse(400, "no request line");
    head_.request.method = method_from(line.substr(0, first));
    target_ = line.substr(first + 1, last - first - 1);
    return version(line.substr(last + 1));
  }

  bool version(std::string_view text) {
    constexpr std::string_view kName = "HTTP/";
    if (text.size() != kName.size() + 3 || !text.starts_with(kName) || text[6] != '.' ||
        !is_digit(text[5]) || !is_digit(text[7]))
      return refuse(400, "no version of HTTP");
    if (text[5] != '1') return refuse(505, "this is HTTP/1.1");
    head_.http11 = text[7] != '0';
    return true;
  }

  bool fields(std::string_view bytes) {
    for (std::string_view line = next_line(bytes); !line.empty(); line = next_line(bytes)) {
      const auto field = parse_field(line);
      if (!field) return refuse(400, "a header field is malformed");
      if (head_.request.headers.size() == kHeaderFieldsMax)
        return refuse(431, "too many header fields");
      head_.request.headers.add(std::string(field->first), std::string(field->second));
    }
    return true;
  }

  // RFC 9112, section 3.2.
  bool target() {
    if (target_.size() > kTargetBytesMax) return refuse(414, "the request target is too long");
    const auto allowed = [](char c) { return c > 0x20 && c < 0x7f && c != '#'; };
    if (!std::ranges::all_of(target_, allowed)) return refuse(400, "the request target is no URI");
    const bool options = head_.request.method == Method::kOptions;
    if (!target_.starts_with('/') && !(target_ == "*" && options) && !absolute_target(options))
      return refuse(400, "the request target is no path");
    const Status parsed = parse_target(target_, head_.request);
    return parsed.ok() || refuse(400, parsed.error().message);
  }

  // RFC 9112, section 3.2.2: what is meant for a proxy is taken too, and names the host.
  bool absolute_target(bool options) {
    const size_t colon = target_.find("://");
    if (colon == std::string_view::npos) return false;
    const std::string_view scheme = target_.substr(0, colon);
    if (!same(scheme, "http") && !same(scheme, "https")) return false;
    const std::string_view rest = target_.substr(colon + 3);
    const size_t path = std::min(rest.find_first_of("/?"), rest.size());
    const std::string_view authority = rest.substr(0, path);
    if (authority.empty() || !is_authority(authority)) return false;
    named_host_ = authority;
    rewritten_ = rest.substr(path);
    if (rewritten_.empty() && options) {
      rewritten_ = "*";
    } else if (!rewritten_.starts_with('/')) {
      rewritten_.insert(0, "/");
    }
    target_ = rewritten_;
    return true;
  }

  // RFC 9112, section 3.2.
  bool host() {
    Headers& headers = head_.request.headers;
    const size_t count = headers.count("Host");
    if (count > 1 || (count == 0 && head_.http11)) return refuse(400, "one Host header is needed");
    if (!is_authority(headers.find("Host"))) return refuse(400, "the Host header is malformed");
    if (!named_host_.empty()) headers.set("Host", named_host_);
    return true;
  }

  // RFC 9112, sections 6.1 to 6.3.
  bool body() {
    const Headers& headers = head_.request.headers;
    const size_t lengths = headers.count("Content-Length");
    const size_t codings = headers.count("Transfer-Encoding");
    if (lengths + codings > 1) return refuse(400, "ambiguous length of the body");
    if (codings > 0) return transfer_coding(headers.find("Transfer-Encoding"));
    return lengths == 0 || length(headers.find("Content-Length"));
  }

  bool transfer_coding(std::string_view coding) {
    if (!head_.http11) return refuse(400, "HTTP/1.0 has no transfer codings");
    head_.framing = Framing::kChunked;
    if (same(coding, "chunked")) return true;
    const size_t comma = coding.rfind(',');
    const bool chunked_last = comma != std::string_view::npos &&
                              same(trim(coding.substr(comma + 1)), "chunked") &&
                              !same(trim(coding.substr(0, comma)), "chunked");
    // Where chunks are inside of it, the end of the body is known, if not what it says.
    return chunked_last ? refuse(501, "no transfer coding but chunked is taken")
                        : refuse(400, "the end of the body cannot be known");
  }

  bool length(std::string_view text) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), head_.length);
    if (error != std::errc() || end != text.data() + text.size() || !is_digit(text.front()))
      return refuse(400, "the Content-Length is no number");
    head_.framing = head_.length > 0 ? Framing::kLength : Framing::kNone;
    return true;
  }

  RequestHead head_;
  HeadFault fault_;
  std::string_view target_;
  std::string rewritten_;  // a target in another form than it came in
  std::string named_host_;
};

}  // namespace

HeadEnd::Found HeadEnd::refuse(int status, std::string reason) {
  fault_ = {status, std::move(reason)};
  return Found::kFault;
}

// RFC 9112, section 2.2: clients have sent empty lines after bodies. False while it is open whether
// another comes.
bool HeadEnd::skip_empty_lines(std::string_view bytes) {
  while (begin_ == seen_ && bytes.substr(begin_).starts_with(kLineEnd))
    line_ = begin_ = seen_ = seen_ + kLineEnd.size();
  return begin_ < seen_ || (bytes.size() > begin_ && bytes.substr(begin_) != "\r");
}

HeadEnd::Found HeadEnd::look(std::string_view bytes) {
  const bool begins = skip_empty_lines(bytes);
  if (begin_ > kEmptyLinesMax * kLineEnd.size()) return refuse(400, "nothing but empty lines");
  if (!begins) return Found::kMore;
  if (!is_token_character(bytes[begin_])) return refuse(400, "no request line");
  while (seen_ < bytes.size()) {
    const Found found = look_at(bytes, seen_);
    if (found == Found::kFault) return found;
    // Of a line's end, both bytes are looked at together.
    if (bytes[seen_] == '\r' && seen_ + 1 == bytes.size()) break;
    ++seen_;
    if (found == Found::kWhole && seen_ - begin_ <= kHeadBytesMax) return found;
    if (seen_ - begin_ > kHeadBytesMax) return refuse(431, "the head is too large");
  }
  const bool in_first_line = line_ == begin_;
  if (in_first_line && bytes.size() - begin_ > kTargetBytesMax + kRequestLineRest)
    return refuse(414, "the request target is too long");
  return Found::kMore;
}

HeadEnd::Found HeadEnd::look_at(std::string_view bytes, size_t place) {
  const char c = bytes[place];
  if (c == '\n') {
    if (bytes[place - 1] != '\r') return refuse(400, "a line ends without CR");
    const bool empty = place - line_ == 1;
    line_ = place + 1;
    return empty ? Found::kWhole : Found::kMore;
  }
  if (c == '\r') {
    return place + 1 == bytes.size() || bytes[place + 1] == '\n' ? Found::kMore
                                                                 : refuse(400, "a bare CR");
  }
  return is_control(c) ? refuse(400, "a control character in the head") : Found::kMore;
}

std::variant<RequestHead, HeadFault> parse_head(std::string_view bytes) {
  return HeadParser().parse(bytes);
}

// RFC 9112, section 5: no space before the colon; a line that begins with one would be the
// obsolete continuation of the one before.
std::optional<std::pair<std::string_view, std::string_view>> parse_field(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return std::nullopt;
  const std::string_view value = trim(line.substr(colon + 1));
  if (std::ranges::any_of(value, is_control)) return std::nullopt;
  return std::pair(line.substr(0, colon), value);
}

}  // namespace polder::http
