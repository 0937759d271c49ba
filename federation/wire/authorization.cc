#include "federation/wire/authorization.h"

#include <array>

#include "homeserver/base/json/write.h"
#include "homeserver/base/values/bytes.h"

namespace polder::wire {
namespace {

constexpr std::string_view kScheme = "x-matrix";
constexpr size_t kParametersMax = 16;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_space(char c) {
  return c == ' ' || c == '\t';
}

// RFC 9110, section 5.6.2.
bool is_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

Error malformed(std::string_view what) {
  return fail(ErrorCode::kMalformed, "Authorization: " + std::string(what));
}

// Takes name=value pairs off a list.
class Parameters {
 public:
  explicit Parameters(std::string_view text) : rest_(text) {}

  // The next pair; nothing at the end.
  Result<std::optional<std::pair<std::string, std::string>>> next() {
    while (!rest_.empty() && (is_space(rest_[0]) || rest_[0] == ','))
      rest_.remove_prefix(1);
    if (rest_.empty()) return std::optional<std::pair<std::string, std::string>>();
    std::string name;
    for (; !rest_.empty() && is_token_char(rest_[0]); rest_.remove_prefix(1))
      name.push_back(lower(rest_[0]));
    skip_spaces();
    if (name.empty() || rest_.empty() || rest_[0] != '=') return malformed("not name=value");
    rest_.remove_prefix(1);
    skip_spaces();
    POLDER_TRY(std::string value, take_value());
    skip_spaces();
    if (!rest_.empty() && rest_[0] != ',') return malformed("no comma after a parameter");
    return std::optional(std::pair(std::move(name), std::move(value)));
  }

 private:
  void skip_spaces() {
    while (!rest_.empty() && is_space(rest_[0]))
      rest_.remove_prefix(1);
  }

  Result<std::string> take_value() {
    std::string value;
    if (rest_.empty() || rest_[0] != '"') {
      // Colons are no token characters; older servers leave them unquoted all the same.
      for (; !rest_.empty() && (is_token_char(rest_[0]) || rest_[0] == ':'); rest_.remove_prefix(1))
        value.push_back(rest_[0]);
      if (value.empty()) return malformed("a value is empty");
      return value;
    }
    for (rest_.remove_prefix(1); !rest_.empty(); rest_.remove_prefix(1)) {
      if (rest_[0] == '"') {
        rest_.remove_prefix(1);
        return value;
      }
      if (rest_[0] == '\\') {
        rest_.remove_prefix(1);
        if (rest_.empty()) break;
      }
      value.push_back(rest_[0]);
    }
    return malformed("a quoted value does not end");
  }

  std::string_view rest_;
};

Result<std::string> require(const std::optional<std::string>& value, std::string_view name) {
  if (!value) return fail(ErrorCode::kMissing, "Authorization: no " + std::string(name));
  return *value;
}

// The canonical JSON of step 1; the keys are in order.
std::string signed_bytes(const SignedRequest& request) {
  std::string text;
  json::Writer writer(text);
  writer.begin_object();
  if (!request.content.empty()) writer.key("content").raw(request.content);
  writer.member("destination", request.destination.view())
      .member("method", request.method)
      .member("origin", request.origin.view())
      .member("uri", request.uri)
      .end_object();
  return text;
}

}  // namespace

Result<Authorization> parse_authorization(std::string_view header) {
  if (header.size() > kAuthorizationMax)
    return fail(ErrorCode::kTooLarge, "the Authorization header is too long");
  while (!header.empty() && is_space(header[0]))
    header.remove_prefix(1);
  const bool ours = header.size() > kScheme.size() && is_space(header[kScheme.size()]) &&
                    std::ranges::equal(header.substr(0, kScheme.size()), kScheme, {}, lower);
  if (!ours) return fail(ErrorCode::kUnsupported, "the Authorization is no X-Matrix");
  constexpr std::array<std::string_view, 4> kNames = {"origin", "destination", "key", "sig"};
  std::array<std::optional<std::string>, 4> values;
  Parameters parameters(header.substr(kScheme.size()));
  for (size_t count = 0;; ++count) {
    POLDER_TRY(auto parameter, parameters.next());
    if (!parameter) break;
    if (count == kParametersMax) return fail(ErrorCode::kTooLarge, "too many parameters");
    const auto known = std::ranges::find(kNames, parameter->first);
    if (known == kNames.end()) continue;  // unknown ones are ignored
    auto& value = values[static_cast<size_t>(known - kNames.begin())];
    if (value) return fail(ErrorCode::kInvalid, "Authorization: " + parameter->first + " twice");
    value = std::move(parameter->second);
  }
  Authorization found;
  POLDER_TRY(const std::string origin, require(values[0], "origin"));
  POLDER_TRY(found.origin, ServerName::parse(origin));
  if (values[1]) {
    POLDER_TRY(found.destination, ServerName::parse(*values[1]));
  }
  POLDER_TRY(const std::string key, require(values[2], "key"));
  POLDER_TRY(found.key, KeyId::parse(key));
  POLDER_TRY(const std::string signature, require(values[3], "sig"));
  POLDER_TRY(found.signature, crypto::signature_from_base64(signature));
  return found;
}

// For older servers: one space, lower-case names, no space around commas, no backslash.
std::string write_authorization(const Authorization& authorization) {
  std::string text = "X-Matrix origin=\"" + authorization.origin.str();
  if (authorization.destination) text += "\",destination=\"" + authorization.destination->str();
  text += "\",key=\"" + authorization.key.str();
  text += "\",sig=\"" + base::base64_encode(authorization.signature);
  return text + "\"";
}

std::string authorize(const SignedRequest& request, const crypto::SigningKey& key) {
  return write_authorization(
      {request.origin, request.destination, key.id(), key.sign(signed_bytes(request))});
}

bool verify(const SignedRequest& request, const Authorization& authorization,
            const crypto::VerifyKey& key) {
  return key.verify(signed_bytes(request), authorization.signature);
}

}  // namespace polder::wire
