#include "federation/devices/known_list.h"

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/e2ee/key_checks.h"

namespace polder::devices {
namespace {

constexpr size_t kPrevIdsMax = 100;

Error bad(std::string_view what) {
  return fail(ErrorCode::kInvalid, std::string(what));
}

std::string name_or_none(const std::string* name) {
  return name != nullptr && name->size() <= kDeviceNameBytesMax ? *name : std::string();
}

Result<std::vector<int64_t>> read_prev_ids(const json::Object& content) {
  std::vector<int64_t> ids;
  const json::Value* value = content.find("prev_id");
  if (value == nullptr || value->is_null()) return ids;
  if (value->as_array() == nullptr) return bad("prev_id is no list");
  if (value->as_array()->size() > kPrevIdsMax)
    return fail(ErrorCode::kTooLarge, "too many prev_id");
  for (const json::Value& id : *value->as_array()) {
    if (id.as_int() == nullptr) return bad("a prev_id is no integer");
    ids.push_back(*id.as_int());
  }
  return ids;
}

Result<UserId> read_user(const json::Object& content) {
  const std::string* user = content.find_string("user_id");
  if (user == nullptr) return bad("no user_id");
  return UserId::parse(*user);
}

Result<std::optional<json::Object>> read_signing_key(const json::Object& content,
                                                     std::string_view name, const UserId& user,
                                                     std::string_view usage) {
  const json::Value* value = content.find(name);
  if (value == nullptr || value->is_null()) return std::optional<json::Object>();
  if (value->as_object() == nullptr) return bad("a key is no object");
  POLDER_CHECK(e2ee::check_cross_signing_key(user, usage, *value->as_object()));
  return std::optional(*value->as_object());
}

}  // namespace

// https://spec.matrix.org/v1.19/server-server-api/#definition-mdevice_list_update
Result<DeviceUpdate> read_device_update(const json::Object& content) {
  DeviceUpdate update;
  POLDER_TRY(update.user, read_user(content));
  const std::string* device = content.find_string("device_id");
  const auto stream_id = content.find_int("stream_id");
  if (device == nullptr || !stream_id) return bad("no device_id or stream_id");
  POLDER_TRY(update.device, DeviceId::parse(*device));
  update.stream_id = *stream_id;
  POLDER_TRY(update.prev_ids, read_prev_ids(content));
  update.name = name_or_none(content.find_string("device_display_name"));
  const json::Value* keys = content.find("keys");
  update.deleted = content.find_bool("deleted").value_or(false);
  if (update.deleted || keys == nullptr || keys->is_null()) return update;
  if (keys->as_object() == nullptr) return bad("keys are no object");
  POLDER_CHECK(e2ee::check_device_keys(update.user, update.device, *keys->as_object()));
  update.keys = *keys->as_object();
  return update;
}

// https://spec.matrix.org/v1.19/server-server-api/#definition-msigning_key_update
Result<SigningKeyUpdate> read_signing_key_update(const json::Object& content) {
  SigningKeyUpdate update;
  POLDER_TRY(update.user, read_user(content));
  POLDER_TRY(update.master_key, read_signing_key(content, "master_key", update.user, "master"));
  POLDER_TRY(update.self_signing_key,
             read_signing_key(content, "self_signing_key", update.user, "self_signing"));
  return update;
}

std::optional<json::Object> checked_device_keys(const UserId& user, const std::string& device,
                                                const json::Value& keys) {
  const auto id = DeviceId::parse(device);
  if (!id.ok() || keys.as_object() == nullptr) return {};
  json::Object checked = *keys.as_object();
  const json::Object* unsigned_info = checked.find_object("unsigned");
  const std::string name = unsigned_info != nullptr
                               ? name_or_none(unsigned_info->find_string("device_display_name"))
                               : std::string();
  checked.erase("unsigned");
  if (!e2ee::check_device_keys(user, *id, checked).ok()) return {};
  if (!name.empty()) checked.set("unsigned", json::object({{"device_display_name", name}}));
  return checked;
}

KnownList::KnownList(const UserId& user, const client::RemoteDevices& told) {
  for (const client::RemoteDevice& device : told.devices) {
    json::Object keys = device.keys;
    keys.erase("unsigned");
    if (!e2ee::check_device_keys(user, device.id, keys).ok()) continue;
    set_device(device.id, keys, name_or_none(device.name ? &*device.name : nullptr));
  }
  if (told.master_key && e2ee::check_cross_signing_key(user, "master", *told.master_key).ok())
    list_.set("master_key", *told.master_key);
  if (told.self_signing_key &&
      e2ee::check_cross_signing_key(user, "self_signing", *told.self_signing_key).ok())
    list_.set("self_signing_key", *told.self_signing_key);
}

void KnownList::set_device(const DeviceId& device, const json::Object& keys,
                           const std::string& name) {
  json::Object stored = keys;
  stored.erase("unsigned");
  if (!name.empty()) stored.set("unsigned", json::object({{"device_display_name", name}}));
  list_.find("devices")->as_object()->set(device.str(), std::move(stored));
}

Result<KnownList> KnownList::from_json(std::string_view text) {
  json::ParseLimits limits;
  limits.max_bytes = kListBytesMax;
  auto parsed = json::parse_object(text, limits);
  if (!parsed.ok() || parsed->find_object("devices") == nullptr)
    return fail(ErrorCode::kCorrupt, "a stored device list cannot be read");
  KnownList list;
  list.list_ = *std::move(parsed);
  return list;
}

Result<std::string> KnownList::to_json() const {
  std::string text = json::write(list_);
  if (text.size() > kListBytesMax || list_.find_object("devices")->size() > kDevicesMax)
    return fail(ErrorCode::kTooLarge, "a user has too many devices");
  return text;
}

void KnownList::apply(const DeviceUpdate& update) {
  if (update.keys) {
    set_device(update.device, *update.keys, update.name);
  } else {
    list_.find("devices")->as_object()->erase(update.device.view());
  }
}

void KnownList::apply(const SigningKeyUpdate& update) {
  if (update.master_key) list_.set("master_key", *update.master_key);
  if (update.self_signing_key) list_.set("self_signing_key", *update.self_signing_key);
}

json::Object KnownList::device_keys(const std::vector<std::string>& only) const {
  const json::Object& all = *list_.find_object("devices");
  if (only.empty()) return all;
  json::Object some;
  for (const std::string& device : only) {
    if (const json::Object* keys = all.find_object(device)) some.set(device, *keys);
  }
  return some;
}

}  // namespace polder::devices
