// Who sees which keys of local users.
#include "homeserver/base/json/parse.h"
#include "homeserver/protocol/e2ee/key_checks.h"
#include "homeserver/users/keys/device_keys.h"

namespace polder::users {
namespace {

// From one snapshot, on the pool.
class KeyReader {
 public:
  // Without an asker, another server asks.
  KeyReader(const Parts& parts, std::optional<UserId> asker, bool names)
      : parts_(parts),
        snapshot_(parts.database.snapshot()),
        asker_(std::move(asker)),
        names_(names) {}

  const kv::Snapshot& snapshot() const { return *snapshot_; }

  // Only of local users: what others told of theirs is not told on (CVE-2023-43796).
  Result<std::optional<stores::UserNumber>> number_of(const UserId& user) const {
    if (user.server() != parts_.own_name.view()) return std::optional<stores::UserNumber>();
    return parts_.names.find(stores::NameKind::kUser, user.view());
  }

  struct Device {
    DeviceId id;
    json::Object keys;
    std::string name;  // empty: none, or not to be told
  };
  Result<std::vector<Device>> devices(const UserId& user, stores::UserNumber number) const {
    POLDER_TRY(const auto stored, stores::read_device_keys(*snapshot_, number));
    std::vector<Device> devices;
    for (const auto& [id, text] : stored) {
      auto keys = e2ee::stored_key(text);
      if (!keys) continue;
      if (!asker_) keys = e2ee::with_signatures_of(user, *std::move(keys));
      POLDER_TRY(const auto row, stores::read_device(*snapshot_, number, id));
      devices.push_back({id, *std::move(keys), row && names_ ? row->display_name : std::string()});
    }
    return devices;
  }

  // Nothing if there is none, or the asker may not see it.
  Result<std::optional<json::Object>> cross_signing_key(const UserId& user,
                                                        stores::UserNumber number,
                                                        std::string_view usage) const {
    // The user-signing key is its owner's alone.
    if (usage == "user_signing" && asker_ != user) return std::optional<json::Object>();
    POLDER_TRY(const auto text, stores::read_cross_signing_key(*snapshot_, number, usage));
    auto key = text ? e2ee::stored_key(*text) : std::nullopt;
    if (!key) return std::optional<json::Object>();
    if (!asker_) return std::optional(e2ee::with_signatures_of(user, *std::move(key)));
    if (usage == "master" && asker_ != user) POLDER_CHECK(add_own_signatures(user, *key));
    return std::optional(*std::move(key));
  }

 private:
  // What the asker signed of another user's key is the asker's to see.
  Status add_own_signatures(const UserId& user, json::Object& key) const {
    POLDER_TRY(const auto asker, parts_.names.find(stores::NameKind::kUser, asker_->view()));
    if (!asker) return {};
    POLDER_TRY(const auto text, stores::read_signature_of_other(*snapshot_, *asker, user));
    if (!text) return {};
    POLDER_TRY(json::Object signatures, json::parse_object(*text));
    e2ee::merge_signatures(key, {{"signatures", std::move(signatures)}});
    return {};
  }

  const Parts& parts_;
  const std::shared_ptr<const kv::Snapshot> snapshot_;
  const std::optional<UserId> asker_;
  const bool names_;
};

struct Usage {
  std::string_view list;  // in the answer to a query
  std::string_view key;   // in the devices of a user
  std::string_view usage;
};
constexpr Usage kAnsweredUsages[] = {{"master_keys", "master_key", "master"},
                                     {"self_signing_keys", "self_signing_key", "self_signing"},
                                     {"user_signing_keys", "", "user_signing"}};

Result<json::Object> read_query(const KeyReader& reader, const WantedKeys& wanted) {
  json::Object answer;
  json::Object all_devices;
  for (const auto& [user, only] : wanted) {
    POLDER_TRY(const auto number, reader.number_of(user));
    if (!number) continue;
    POLDER_TRY(auto devices, reader.devices(user, *number));
    json::Object of_user;
    for (KeyReader::Device& device : devices) {
      if (!only.empty() && std::ranges::find(only, device.id.str()) == only.end()) continue;
      if (!device.name.empty())
        device.keys.set("unsigned", json::object({{"device_display_name", device.name}}));
      of_user.set(device.id.str(), std::move(device.keys));
    }
    all_devices.set(user.str(), std::move(of_user));
    for (const Usage& usage : kAnsweredUsages) {
      POLDER_TRY(auto key, reader.cross_signing_key(user, *number, usage.usage));
      if (!key) continue;
      if (answer.find_object(usage.list) == nullptr)
        answer.set(std::string(usage.list), json::Object());
      answer.find(usage.list)->as_object()->set(user.str(), *std::move(key));
    }
  }
  answer.set("device_keys", std::move(all_devices));
  return answer;
}

Result<json::Object> read_devices_for_server(const KeyReader& reader, const UserId& user,
                                             const ServerName& own_name) {
  if (user.server() != own_name.view()) return fail(ErrorCode::kNotFound, "not a user of here");
  json::Object answer{{"user_id", user.str()}, {"stream_id", 0}};
  json::Array list;
  POLDER_TRY(const auto number, reader.number_of(user));
  if (number) {
    POLDER_TRY(const kv::Position last,
               stores::last_device_change(reader.snapshot(), *number, kv::kLastPosition));
    answer.set("stream_id", static_cast<int64_t>(last));
    POLDER_TRY(auto devices, reader.devices(user, *number));
    for (KeyReader::Device& device : devices) {
      json::Object entry{{"device_id", device.id.str()}, {"keys", std::move(device.keys)}};
      if (!device.name.empty()) entry.set("device_display_name", device.name);
      list.emplace_back(std::move(entry));
    }
    for (const Usage& usage : kAnsweredUsages) {
      POLDER_TRY(auto key, reader.cross_signing_key(user, *number, usage.usage));
      if (key) answer.set(std::string(usage.key), *std::move(key));
    }
  }
  answer.set("devices", std::move(list));
  return answer;
}

}  // namespace

Task<Result<json::Object>> DeviceKeys::query(UserId asker, WantedKeys wanted) {
  auto shared = std::make_shared<const WantedKeys>(std::move(wanted));
  DeviceKeys* self = this;
  co_return co_await runtime::on_pool(
      parts_.runtime, [self, asker, shared]() -> Result<json::Object> {
        POLDER_TRY(json::Object answer, read_query(KeyReader(self->parts_, asker, true), *shared));
        for (const Usage& usage : kAnsweredUsages) {
          if (!answer.contains(usage.list)) answer.set(std::string(usage.list), json::Object());
        }
        return answer;
      });
}

Task<Result<json::Object>> DeviceKeys::query_for_server(WantedKeys wanted) {
  auto shared = std::make_shared<const WantedKeys>(std::move(wanted));
  DeviceKeys* self = this;
  co_return co_await runtime::on_pool(parts_.runtime, [self, shared] {
    return read_query(KeyReader(self->parts_, {}, self->options_.names_to_other_servers), *shared);
  });
}

Task<Result<json::Object>> DeviceKeys::devices_for_server(UserId user) {
  DeviceKeys* self = this;
  co_return co_await runtime::on_pool(parts_.runtime, [self, user] {
    const KeyReader reader(self->parts_, {}, self->options_.names_to_other_servers);
    return read_devices_for_server(reader, user, self->parts_.own_name);
  });
}

// https://spec.matrix.org/v1.19/server-server-api/#definition-mdevice_list_update
Result<json::Object> DeviceKeys::device_update(const UserId& user, stores::UserNumber number,
                                               const DeviceId& device) const {
  const KeyReader reader(parts_, {}, options_.names_to_other_servers);
  json::Object content{{"user_id", user.str()}, {"device_id", device.str()}};
  POLDER_TRY(const auto row, stores::read_device(reader.snapshot(), number, device));
  if (!row) {
    content.set("deleted", true);
    return content;
  }
  if (options_.names_to_other_servers && !row->display_name.empty())
    content.set("device_display_name", row->display_name);
  POLDER_TRY(const auto text, stores::read_device_keys_of(reader.snapshot(), number, device));
  if (auto keys = text ? e2ee::stored_key(*text) : std::nullopt)
    content.set("keys", e2ee::with_signatures_of(user, *std::move(keys)));
  return content;
}

// https://spec.matrix.org/v1.19/server-server-api/#definition-msigning_key_update
Result<json::Object> DeviceKeys::signing_key_update(const UserId& user,
                                                    stores::UserNumber number) const {
  const KeyReader reader(parts_, {}, options_.names_to_other_servers);
  json::Object content{{"user_id", user.str()}};
  for (const Usage& usage : kAnsweredUsages) {
    POLDER_TRY(auto key, reader.cross_signing_key(user, number, usage.usage));
    if (key) content.set(std::string(usage.key), *std::move(key));
  }
  return content;
}

}  // namespace polder::users
