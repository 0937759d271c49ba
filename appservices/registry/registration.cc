#include "appservices/registry/registration.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <optional>

#include "homeserver/base/values/ids.h"

namespace polder::appservices {
namespace {

int line_of(const YAML::Node& node) {
  return node.Mark().line + 1;
}

struct Field {
  YAML::Node value;
  int line = 0;  // of the key: a value that is not there has that of whatever comes next
};
// Of one mapping.
using Fields = std::map<std::string, Field, std::less<>>;

class RegistrationReader {
 public:
  Result<Registration> read(const YAML::Node& file) {
    const Fields fields = fields_of(file, "a registration", line_of(file));
    Registration registration;
    registration.id = required_text(fields, "id");
    registration.url = url(fields);
    registration.as_token = token(fields, "as_token");
    registration.hs_token = token(fields, "hs_token");
    registration.sender_localpart = localpart(fields);
    registration.rate_limited = flag(fields, "rate_limited", "").value_or(true);
    registration.receive_ephemeral = flag(fields, "receive_ephemeral", "").value_or(false);
    registration.protocols = protocols(fields);
    if (const Field* field = required(fields, "namespaces", "")) {
      const Fields lists = fields_of(field->value, "namespaces", field->line);
      registration.users = namespaces(lists, "users");
      registration.aliases = namespaces(lists, "aliases");
      registration.rooms = namespaces(lists, "rooms");
    }
    if (!faults_.empty()) return fail(ErrorCode::kInvalid, faults_);
    return registration;
  }

 private:
  void fault(const std::string& message) {
    faults_.append(faults_.empty() ? "" : "\n").append(message);
  }
  void fault(int line, const std::string& message) {
    fault("line " + std::to_string(line) + ": " + message);
  }

  Fields fields_of(const YAML::Node& node, const std::string& name, int line) {
    Fields fields;
    if (!node.IsMap()) {
      fault(line, name + " must be keys with values");
      return fields;
    }
    for (const auto& entry : node) {
      const YAML::Node& key = entry.first;
      if (!key.IsScalar()) continue;
      if (!fields.emplace(key.Scalar(), Field{entry.second, line_of(key)}).second)
        fault(line_of(key), key.Scalar() + " is there twice");
    }
    return fields;
  }

  static const Field* find(const Fields& fields, std::string_view key) {
    const auto found = fields.find(key);
    return found != fields.end() ? &found->second : nullptr;
  }
  // Null, after a fault, if it is missing. `where` comes before the key in the message.
  const Field* required(const Fields& fields, const std::string& key, const std::string& where) {
    const Field* field = find(fields, key);
    if (field == nullptr) fault(where + key + " is missing");
    return field;
  }

  // A text of bounded length; empty after a fault.
  std::string text(const YAML::Node& node, const std::string& name, int line) {
    if (!node.IsScalar()) {
      fault(line, name + " must be a string");
      return "";
    }
    if (node.Scalar().empty() || node.Scalar().size() > kTextBytesMax) {
      fault(line, name + " must have from 1 to " + std::to_string(kTextBytesMax) + " bytes");
      return "";
    }
    return node.Scalar();
  }
  std::string required_text(const Fields& fields, const std::string& key) {
    const Field* field = required(fields, key, "");
    return field != nullptr ? text(field->value, key, field->line) : "";
  }

  std::string url(const Fields& fields) {
    const Field* field = required(fields, "url", "");
    if (field == nullptr || field->value.IsNull()) return "";
    std::string url = text(field->value, "url", field->line);
    const auto of = [&](std::string_view scheme) {
      return url.starts_with(scheme) && url.size() > scheme.size() && url[scheme.size()] != '/';
    };
    if (!url.empty() && !of("http://") && !of("https://"))
      fault(field->line, "url must begin with http:// or https:// and a host, or be null");
    return url;
  }

  // It goes into the header Authorization.
  std::string token(const Fields& fields, const std::string& key) {
    std::string token = required_text(fields, key);
    if (!std::ranges::all_of(token, [](char c) { return c > ' ' && c <= '~'; }))
      fault(find(fields, key)->line, key + " must have neither spaces nor letters beyond ASCII");
    return token;
  }

  std::string localpart(const Fields& fields) {
    std::string localpart = required_text(fields, "sender_localpart");
    if (!localpart.empty() && !UserId::is_new_localpart(localpart)) {
      fault(find(fields, "sender_localpart")->line,
            "sender_localpart must be of a-z, 0-9, ., _, =, -, / and +");
    }
    return localpart;
  }

  std::optional<bool> flag(const Fields& fields, const std::string& key, const std::string& where) {
    const Field* field = find(fields, key);
    if (field == nullptr) return std::nullopt;
    const YAML::Node& node = field->value;
    bool value = false;
    const bool quoted = node.Tag() == "!";
    if (node.IsScalar() && !quoted && YAML::convert<bool>::decode(node, value)) return value;
    fault(field->line, where + key + " must be true or false");
    return std::nullopt;
  }

  std::vector<std::string> protocols(const Fields& fields) {
    std::vector<std::string> protocols;
    const Field* field = find(fields, "protocols");
    if (field == nullptr || field->value.IsNull()) return protocols;
    if (!field->value.IsSequence()) {
      fault(field->line, "protocols must be a list");
      return protocols;
    }
    for (const YAML::Node& entry : field->value)
      protocols.push_back(text(entry, "what protocols lists", line_of(entry)));
    return protocols;
  }

  std::vector<Namespace> namespaces(const Fields& lists, const std::string& key) {
    std::vector<Namespace> namespaces;
    const Field* list = find(lists, key);
    if (list == nullptr) return namespaces;
    const std::string name = "namespaces." + key;
    if (!list->value.IsSequence() || list->value.size() > kNamespacesMax) {
      fault(list->line, name + " must be a list of at most " + std::to_string(kNamespacesMax));
      return namespaces;
    }
    for (const YAML::Node& entry : list->value) {
      if (auto read = read_namespace(entry, name)) namespaces.push_back(*std::move(read));
    }
    return namespaces;
  }

  std::optional<Namespace> read_namespace(const YAML::Node& node, const std::string& name) {
    const Fields fields = fields_of(node, "what " + name + " lists", line_of(node));
    if (!node.IsMap()) return std::nullopt;
    const std::string where = "line " + std::to_string(line_of(node)) + ": " + name + ".";
    const std::optional<bool> exclusive =
        required(fields, "exclusive", where) ? flag(fields, "exclusive", name + ".") : std::nullopt;
    const Field* regex = required(fields, "regex", where);
    if (regex == nullptr) return std::nullopt;
    if (!regex->value.IsScalar()) {
      fault(regex->line, name + ".regex must be a string");
      return std::nullopt;
    }
    auto pattern = Pattern::compile(regex->value.Scalar());
    if (!pattern.ok()) {
      fault(regex->line, name + ".regex " + pattern.error().message);
      return std::nullopt;
    }
    return Namespace{exclusive.value_or(false), *std::move(pattern)};
  }

  std::string faults_;
};

}  // namespace

Result<Registration> read_registration(std::string_view yaml) {
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(yaml));
    if (documents.size() != 1)
      return fail(ErrorCode::kMalformed,
                  "must be one YAML document, and has " + std::to_string(documents.size()));
    return RegistrationReader().read(documents.front());
  } catch (const YAML::Exception& error) {
    return fail(ErrorCode::kMalformed,
                "line " + std::to_string(error.mark.line + 1) + ": is no YAML: " + error.msg);
  }
}

}  // namespace polder::appservices
