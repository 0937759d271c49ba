#include "homeserver/dag/server_acl.h"

#include <algorithm>

namespace polder::dag {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return lower(c); });
  return out;
}

std::vector<std::string> read_globs(const json::Object& content, std::string_view name) {
  std::vector<std::string> globs;
  const json::Array* list = content.find_array(name);
  if (list == nullptr) return globs;
  for (const json::Value& entry : *list) {
    if (entry.as_string() == nullptr) continue;
    std::string glob = lower(*entry.as_string());
    const auto both_stars = [](char a, char b) { return a == '*' && b == '*'; };
    glob.erase(std::unique(glob.begin(), glob.end(), both_stars), glob.end());
    // Whoever has more characters than a name can have matches none.
    const auto fixed = glob.size() - static_cast<size_t>(std::ranges::count(glob, '*'));
    if (fixed <= base::kMaxIdBytes) globs.push_back(std::move(glob));
  }
  return globs;
}

bool any_matches(const std::vector<std::string>& globs, std::string_view host) {
  return std::ranges::any_of(globs,
                             [&](const std::string& glob) { return glob_matches(glob, host); });
}

}  // namespace

ServerAcl::ServerAcl(const json::Object& content)
    : allow_ip_literals_(content.find_bool("allow_ip_literals").value_or(true)),
      allow_(read_globs(content, "allow")),
      deny_(read_globs(content, "deny")) {}

bool ServerAcl::allows(const ServerName& server) const {
  // 2. "If the server name is an IP address literal, and allow_ip_literals is present and false,
  // deny."
  if (!allow_ip_literals_ && server.is_ip_literal()) return false;
  const std::string host = lower(server.host());
  // 3. "If the server name matches an entry in the deny list, deny."
  if (any_matches(deny_, host)) return false;
  // 4. "If the server name matches an entry in the allow list, allow." 5. "Otherwise, deny."
  return any_matches(allow_, host);
}

// A star first takes nothing; on a mismatch the last star takes one byte more. Earlier stars need
// never be tried again.
bool glob_matches(std::string_view glob, std::string_view text) {
  size_t at = 0;
  size_t star = std::string_view::npos;
  size_t taken = 0;  // where in the text the last star's share ends
  for (size_t i = 0; i < text.size();) {
    if (at < glob.size() && glob[at] == '*') {
      star = at++;
      taken = i;
    } else if (at < glob.size() && (glob[at] == '?' || glob[at] == text[i])) {
      ++at;
      ++i;
    } else if (star != std::string_view::npos) {
      at = star + 1;
      i = ++taken;
    } else {
      return false;
    }
  }
  while (at < glob.size() && glob[at] == '*')
    ++at;
  return at == glob.size();
}

}  // namespace polder::dag
