#include "homeserver/api/client/create_room.h"

#include <algorithm>

#include "homeserver/api/client/addresses.h"
#include "homeserver/api/client/api.h"

namespace polder::client_api {
namespace {

constexpr size_t kInvitesMax = 100;
constexpr size_t kInitialStateMax = 100;
constexpr int64_t kModeratorLevel = 50;
constexpr int64_t kTombstoneLevel = 150;  // MSC4289: only creators upgrade rooms

struct Preset {
  std::string_view join_rule;
  std::string_view guest_access;
  int64_t invite = 0;    // the power level that it needs
  bool trusted = false;  // invitees are made the creator's equals
};

Result<Preset> preset_of(const json::Reader& in) {
  POLDER_TRY(const auto visibility, in.one_of("visibility", {"public", "private"}, "private"));
  POLDER_TRY(const auto preset,
             in.one_of("preset", {"private_chat", "trusted_private_chat", "public_chat"},
                       visibility == "public" ? "public_chat" : "private_chat"));
  if (preset == "private_chat") return Preset{"invite", "can_join"};
  if (preset == "trusted_private_chat") return Preset{"invite", "can_join", 0, true};
  // Where anybody may join, an invite adds nothing but unwanted ones; where the join rules are then
  // made restricted, it would let members pass them by.
  return Preset{"public", "forbidden", kModeratorLevel};
}

class Planner {
 public:
  Planner(const json::Object& body, const UserId& creator) : in_(body), creator_(creator) {}

  Result<RoomPlan> run(json::Object join, const ServerName& own_name,
                       const std::string& default_version) {
    POLDER_TRY(const auto version, in_.string_or("room_version", default_version));
    plan_.rules = events::find_room_version(version);
    if (plan_.rules == nullptr)
      return fail(ErrorCode::kInvalid, "M_UNSUPPORTED_ROOM_VERSION", "Unknown room version");
    POLDER_TRY(preset_, preset_of(in_));
    POLDER_CHECK(read_invites());
    POLDER_CHECK(read_alias(own_name));
    // The order of events is the specification's.
    POLDER_CHECK(add_create());
    add("m.room.member", creator_.str(), std::move(join));
    POLDER_CHECK(add_power_levels());
    if (plan_.alias) add("m.room.canonical_alias", "", {{"alias", plan_.alias->str()}});
    POLDER_CHECK(read_initial_state());
    POLDER_TRY(auto named, implied_events());
    add_preset();
    for (rooms::LocalEvent& event : initial_state_)
      plan_.events.push_back(std::move(event));
    for (auto& [type, content] : named)
      add(type, "", std::move(content));
    POLDER_CHECK(in_.optional_array("invite_3pid", {kInvitesMax}));
    POLDER_TRY(const bool direct, in_.boolean_or("is_direct", false));
    if (direct) plan_.invite_content.set("is_direct", true);
    for (const UserId& user : invites_) {
      if (user.server() != own_name.view()) {
        plan_.remote_invites.push_back(user);
        continue;
      }
      json::Object content = plan_.invite_content;
      content.set("membership", "invite");
      add("m.room.member", user.str(), std::move(content));
    }
    return std::move(plan_);
  }

 private:
  void add(std::string type, std::string state_key, json::Object content) {
    rooms::LocalEvent event;
    event.sender = creator_;
    event.type = std::move(type);
    event.state_key = std::move(state_key);
    event.content = std::move(content);
    plan_.events.push_back(std::move(event));
  }

  Status read_invites() {
    POLDER_TRY(const auto invites, in_.optional_strings("invite", {.count_max = kInvitesMax}));
    if (!invites) return {};
    for (const std::string& invite : *invites) {
      POLDER_TRY(UserId user, UserId::parse(invite));
      invites_.push_back(std::move(user));
    }
    return {};
  }

  Status read_alias(const ServerName& own_name) {
    POLDER_TRY(const auto name, in_.optional_string("room_alias_name", {.bytes_min = 1}));
    if (!name) return {};
    if (name->find(':') != std::string::npos)
      return fail(ErrorCode::kInvalid, "room_alias_name must be a localpart");
    POLDER_TRY(plan_.alias, RoomAlias::parse("#" + *name + ":" + own_name.str()));
    return {};
  }

  Status add_create() {
    json::Object content;
    POLDER_TRY(const json::Object* extra, in_.optional_object("creation_content"));
    if (extra != nullptr) content = *extra;
    content.set("room_version", std::string(plan_.rules->id));
    if (!plan_.rules->creator_is_sender) content.set("creator", creator_.str());
    if (plan_.rules->privileged_creators && preset_.trusted) {
      json::Array creators;
      if (const json::Array* given = content.find_array("additional_creators")) creators = *given;
      for (const UserId& user : invites_) {
        if (std::ranges::find(creators, json::Value(user.str())) == creators.end())
          creators.emplace_back(user.str());
      }
      if (!creators.empty()) content.set("additional_creators", std::move(creators));
    }
    add("m.room.create", "", std::move(content));
    return {};
  }

  Status add_power_levels() {
    json::Object users;
    if (!plan_.rules->privileged_creators) {
      users.set(creator_.str(), 100);
      if (preset_.trusted) {
        for (const UserId& user : invites_)
          users.set(user.str(), 100);
      }
    }
    json::Object events{{"m.room.name", 50},
                        {"m.room.power_levels", 100},
                        {"m.room.history_visibility", 100},
                        {"m.room.canonical_alias", 50},
                        {"m.room.avatar", 50},
                        {"m.room.tombstone", 100},
                        {"m.room.server_acl", 100},
                        {"m.room.encryption", 100}};
    if (plan_.rules->privileged_creators) events.set("m.room.tombstone", kTombstoneLevel);
    json::Object content{{"users", users},
                         {"users_default", 0},
                         {"events", events},
                         {"events_default", 0},
                         {"state_default", 50},
                         {"ban", 50},
                         {"kick", 50},
                         {"redact", 50},
                         {"invite", preset_.invite},
                         {"notifications", json::object({{"room", 50}})}};
    POLDER_TRY(const json::Object* given, in_.optional_object("power_level_content_override"));
    if (given != nullptr) {
      for (const auto& [key, value] : *given)
        content.set(key, value);
    }
    add("m.room.power_levels", "", std::move(content));
    return {};
  }

  // What the client gives wins over the preset.
  void add_preset() {
    const auto given = [&](std::string_view type) {
      return std::ranges::any_of(initial_state_, [&](const rooms::LocalEvent& event) {
        return event.type == type && event.state_key == "";
      });
    };
    if (!given("m.room.join_rules"))
      add("m.room.join_rules", "", {{"join_rule", preset_.join_rule}});
    if (!given("m.room.history_visibility"))
      add("m.room.history_visibility", "", {{"history_visibility", "shared"}});
    if (!given("m.room.guest_access"))
      add("m.room.guest_access", "", {{"guest_access", preset_.guest_access}});
  }

  Status read_initial_state() {
    POLDER_TRY(const json::Array* state, in_.optional_array("initial_state", {kInitialStateMax}));
    if (state == nullptr) return {};
    for (const json::Value& entry : *state) {
      POLDER_TRY(const json::Object* object, json::read_object(entry, "each of initial_state"));
      const json::Reader in(*object, "initial_state.");
      rooms::LocalEvent event;
      event.sender = creator_;
      POLDER_TRY(event.type, in.string("type"));
      POLDER_TRY(event.state_key, in.string_or("state_key", ""));
      POLDER_TRY(const json::Object* content, in.object("content"));
      event.content = *content;
      POLDER_CHECK(check_initial(event));
      initial_state_.push_back(std::move(event));
    }
    return {};
  }

  // What the routes for it would refuse: no other way leads into the room, and none of an alias to
  // it but the one that it is created with.
  Status check_initial(const rooms::LocalEvent& event) const {
    if (event.type == "m.room.member")
      return fail(ErrorCode::kInvalid, "M_INVALID_ROOM_STATE", "initial_state has a membership");
    if (event.type != "m.room.canonical_alias") return {};
    POLDER_TRY(const auto named, aliases_named_in(event.content));
    for (const std::string& alias : named) {
      if (plan_.alias && alias == plan_.alias->view()) continue;
      return fail(ErrorCode::kInvalid, "M_BAD_ALIAS",
                  "The alias " + alias + " does not lead to this room");
    }
    return {};
  }

  // The events implied by `name` and `topic`, which overwrite those of initial_state.
  // https://spec.matrix.org/v1.19/client-server-api/#mroomtopic
  Result<std::vector<std::pair<std::string, json::Object>>> implied_events() {
    std::vector<std::pair<std::string, json::Object>> implied;
    for (const std::string key : {"name", "topic"}) {
      // How much fits is for the event to say.
      POLDER_TRY(const auto text, in_.optional_string(key, {.bytes_max = kLargeBody}));
      if (!text) continue;
      json::Object content{{key, *text}};
      if (key == "topic") {
        const json::Object plain{{"body", *text}, {"mimetype", "text/plain"}};
        content.set("m.topic", json::object({{"m.text", json::Array(1, plain)}}));
      }
      implied.emplace_back("m.room." + key, std::move(content));
    }
    std::erase_if(initial_state_, [&](const rooms::LocalEvent& event) {
      return event.state_key == "" &&
             std::ranges::any_of(implied, [&](const auto& one) { return one.first == event.type; });
    });
    return implied;
  }

  const json::Reader in_;
  const UserId& creator_;
  Preset preset_;
  std::vector<UserId> invites_;
  std::vector<rooms::LocalEvent> initial_state_;
  RoomPlan plan_;
};

}  // namespace

Result<RoomPlan> plan_room(const json::Object& body, const UserId& creator, json::Object join,
                           const ServerName& own_name, const std::string& default_version) {
  return Planner(body, creator).run(std::move(join), own_name, default_version);
}

}  // namespace polder::client_api
