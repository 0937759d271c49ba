#include "homeserver/server/config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <set>

#include "homeserver/server/config_keys.h"

namespace polder::server {
namespace {

constexpr std::string_view kListeners = "listeners";

// Insertions, deletions and replacements that turn one word into the other.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

template <class Names>
std::string nearest(std::string_view name, const Names& names) {
  const auto best = std::ranges::min_element(
      names, {}, [&](const auto& known) { return edit_distance(name, known); });
  return std::string(*best);
}

template <class T>
std::optional<ConfigValue> list_of(const toml::array& array) {
  std::vector<T> out;
  for (const toml::node& node : array) {
    const auto value = node.value_exact<T>();
    if (!value) return std::nullopt;
    out.push_back(*value);
  }
  return ConfigValue(std::move(out));
}

// The node as the alternative that the example shows; nothing if it is of another type.
std::optional<ConfigValue> convert(const toml::node& node, const ConfigValue& like) {
  if (std::holds_alternative<bool>(like)) {
    if (const auto value = node.value_exact<bool>()) return ConfigValue(*value);
  } else if (std::holds_alternative<int64_t>(like)) {
    if (const auto value = node.value_exact<int64_t>()) return ConfigValue(*value);
  } else if (std::holds_alternative<double>(like)) {
    if (node.is_number()) return ConfigValue(*node.value<double>());
  } else if (std::holds_alternative<std::string>(like)) {
    if (const auto value = node.value_exact<std::string>()) return ConfigValue(*value);
  } else if (const toml::array* array = node.as_array()) {
    return std::holds_alternative<std::vector<int64_t>>(like) ? list_of<int64_t>(*array)
                                                              : list_of<std::string>(*array);
  }
  return std::nullopt;
}

std::string_view type_name(const ConfigValue& value) {
  constexpr std::array<std::string_view, 6> kNames = {
      "true or false",     "a whole number",          "a string",
      "a list of strings", "a list of whole numbers", "a number"};
  return kNames[value.index()];
}

void write_value(const ConfigValue& value, std::string& out) {
  const auto quoted = [](const std::string& text) { return "\"" + text + "\""; };
  const auto list = [&](const auto& values, auto write) {
    out += "[";
    for (size_t i = 0; i < values.size(); ++i)
      out.append(i == 0 ? "" : ", ").append(write(values[i]));
    out += "]";
  };
  if (const bool* flag = std::get_if<bool>(&value)) out += *flag ? "true" : "false";
  if (const int64_t* number = std::get_if<int64_t>(&value)) out += std::to_string(*number);
  if (const double* number = std::get_if<double>(&value)) {
    char digits[32];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, *number).ptr);
  }
  if (const std::string* text = std::get_if<std::string>(&value)) out += quoted(*text);
  if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) list(*texts, quoted);
  if (const auto* numbers = std::get_if<std::vector<int64_t>>(&value)) {
    list(*numbers, [](int64_t number) { return std::to_string(number); });
  }
}

class ConfigReader {
 public:
  Result<Config> read(const toml::table& file) {
    for (const auto& [key, node] : file) {
      if (key.str() == kListeners) {
        read_listeners(node);
      } else {
        read_keys(std::string(key.str()), node);
      }
    }
    for (const ConfigKey& key : config_keys()) {
      if (key.required && !seen_.contains(key.path))
        fault(std::string(key.path).append(" is missing"));
    }
    if (faults_.empty() && config_.listeners.empty())
      fault("no [[listeners]]: nobody could connect");
    if (!faults_.empty()) return fail(ErrorCode::kInvalid, faults_);
    return std::move(config_);
  }

 private:
  void fault(const std::string& message) {
    faults_.append(faults_.empty() ? "" : "\n").append(message);
  }
  void fault(const toml::node& node, const std::string& message) {
    fault("line " + std::to_string(node.source().begin.line) + ": " + message);
  }

  template <class Key, class Target>
  void take(std::string_view name, const toml::node& node, const Key& key, Target& target) {
    const auto value = convert(node, key.shown);
    if (!value)
      return fault(node, std::string(name).append(" must be ").append(type_name(key.shown)));
    if (const Status set = key.set(target, *value); !set.ok()) {
      fault(node, std::string(name).append(": ").append(set.error().message));
    }
    note(name, *value);
  }

  void note(std::string_view name, const ConfigValue& value) {
    std::string key(name);
    // Of which listener: it is the next that will be in the list.
    if (name.starts_with(std::string(kListeners) + "."))
      key.insert(kListeners.size(), "[" + std::to_string(config_.listeners.size()) + "]");
    write_value(value, config_.given[key]);
  }

  void read_keys(const std::string& path, const toml::node& node) {
    const toml::table* section = node.as_table();
    if (section == nullptr) return read_key(path, node);
    for (const auto& [name, value] : *section)
      read_keys(std::string(path).append(".").append(name.str()), value);
  }

  void read_key(const std::string& path, const toml::node& node) {
    const auto keys = config_keys();
    const auto found = std::ranges::find(keys, path, &ConfigKey::path);
    if (found == keys.end()) {
      std::vector<std::string_view> names = {"listeners"};
      for (const ConfigKey& key : keys)
        names.push_back(key.path);
      return fault(node, "unknown key " + path + "; did you mean " + nearest(path, names) + "?");
    }
    seen_.insert(found->path);
    take(path, node, *found, config_);
  }

  void read_listeners(const toml::node& node) {
    const toml::array* tables = node.as_array();
    if (tables == nullptr) return fault(node, "listeners must be [[listeners]] tables");
    for (const toml::node& entry : *tables) {
      const toml::table* table = entry.as_table();
      if (table == nullptr) return fault(entry, "listeners must be [[listeners]] tables");
      read_listener(*table);
    }
  }

  void read_listener(const toml::table& table) {
    ListenerConfig listener;
    const auto keys = listener_keys();
    for (const auto& [name, node] : table) {
      const auto found = std::ranges::find(keys, name.str(), &ListenerKey::name);
      if (found == keys.end()) {
        std::vector<std::string_view> names;
        for (const ListenerKey& key : keys)
          names.push_back(key.name);
        fault(node, "unknown key listeners." + std::string(name.str()) + "; did you mean " +
                        nearest(name.str(), names) + "?");
      } else {
        take("listeners." + std::string(name.str()), node, *found, listener);
      }
    }
    for (const ListenerKey& key : keys) {
      if (key.required && !table.contains(key.name))
        fault(table, "listeners." + std::string(key.name) + " is missing");
    }
    if (listener.tls_certificate.empty() != listener.tls_key.empty()) {
      fault(table, "listeners.tls_certificate and listeners.tls_key go together");
    }
    config_.listeners.push_back(std::move(listener));
  }

  Config config_;
  std::set<std::string_view> seen_;
  std::string faults_;
};

}  // namespace

bool Config::has_msc(int64_t number) const {
  return std::ranges::find(experimental.msc, number) != experimental.msc.end();
}

namespace {

// The keys that listeners have in one or the other, such as listeners[0].port.
std::set<std::string> listener_keys_of(const Config& before, const Config& after) {
  std::set<std::string> keys;
  for (const Config* config : {&before, &after}) {
    for (const auto& [key, text] : config->given) {
      if (key.starts_with(kListeners)) keys.insert(key);
    }
  }
  return keys;
}

}  // namespace

ConfigChanges compare(const Config& before, const Config& after) {
  const auto value = [](const Config& config, std::string_view path, const ConfigValue& otherwise) {
    const auto found = config.given.find(std::string(path));
    if (found != config.given.end()) return found->second;
    std::string text;
    write_value(otherwise, text);
    return text;
  };
  ConfigChanges changes;
  for (const ConfigKey& key : config_keys()) {
    if (value(before, key.path, key.shown) == value(after, key.path, key.shown)) continue;
    (key.needs_restart ? changes.with_restart : changes.at_once).emplace_back(key.path);
  }
  for (const std::string& key : listener_keys_of(before, after)) {
    if (value(before, key, {}) != value(after, key, {})) changes.with_restart.push_back(key);
  }
  return changes;
}

Result<Config> parse_config(std::string_view toml) {
  try {
    return ConfigReader().read(toml::parse(toml));
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::kMalformed, "line " + std::to_string(error.source().begin.line) + ": " +
                                           std::string(error.description()));
  }
}

std::string config_example() {
  std::string out = "# Every key of Polder's configuration, with its default.\n";
  std::string section;
  const auto comment = [&](std::string_view documentation, bool needs_restart) {
    out.append("\n# ")
        .append(documentation)
        .append(needs_restart ? " (Read at start only.)\n" : "\n");
  };
  bool listeners_written = false;
  for (const ConfigKey& key : config_keys()) {
    const size_t dot = key.path.rfind('.');
    const std::string_view name =
        dot == std::string_view::npos ? key.path : key.path.substr(dot + 1);
    const std::string_view in =
        dot == std::string_view::npos ? std::string_view() : key.path.substr(0, dot);
    if (in != section && !std::exchange(listeners_written, true)) {
      out += "\n[[listeners]]";
      for (const ListenerKey& listener : listener_keys()) {
        comment(listener.documentation, true);
        out.append(listener.in_example ? "" : "# ").append(listener.name).append(" = ");
        write_value(listener.shown, out);
        out += "\n";
      }
    }
    if (in != section) out.append("\n[").append(section = in).append("]");
    if (in != section || out.back() == ']') out += "\n";
    comment(key.documentation, key.needs_restart);
    out.append(name).append(" = ");
    write_value(key.shown, out);
    out += "\n";
  }
  return out;
}

}  // namespace polder::server
