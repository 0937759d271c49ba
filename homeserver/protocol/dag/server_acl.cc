#include "homeserver/protocol/dag/server_acl.h"

#include <algorithm>

#include "homeserver/base/values/glob.h"

namespace polder::dag {
namespace {

// With a star between any two characters that a name can have.
constexpr base::GlobSyntax kGlobs{.size_max = 2 * base::kMaxIdBytes + 1};

std::vector<std::string> read_globs(const json::Object& content, std::string_view name) {
  std::vector<std::string> globs;
  const json::Array* list = content.find_array(name);
  if (list == nullptr) return globs;
  for (const json::Value& entry : *list) {
    if (entry.as_string() == nullptr) continue;
    // Whoever has more characters than a name can have matches none.
    if (base::Glob::parse(*entry.as_string(), kGlobs).ok()) globs.push_back(*entry.as_string());
  }
  return globs;
}

// Globs take many times the memory of their text, and each is asked once a server.
bool any_matches(const std::vector<std::string>& globs, std::u32string_view host) {
  return std::ranges::any_of(globs, [&](const std::string& text) {
    const auto glob = base::Glob::parse(text, kGlobs);
    return glob.ok() && glob->matches(host);
  });
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
  const std::u32string host = base::fold_case(server.host());
  // 3. "If the server name matches an entry in the deny list, deny."
  if (any_matches(deny_, host)) return false;
  // 4. "If the server name matches an entry in the allow list, allow." 5. "Otherwise, deny."
  return any_matches(allow_, host);
}

}  // namespace polder::dag
