#include "federation/entry/entry_context.h"

#include <algorithm>

#include "homeserver/base/json/parse.h"
#include "homeserver/rooms/read/reader.h"
#include "storage/stores/users/user_rows.h"

namespace polder::entry {
namespace {

using rooms::RoomHeadPtr;
using rooms::RoomReader;

class Finder {
 public:
  Finder(const rooms::RoomSource& rooms, const UserId& user, const RoomId& room)
      : rooms_(rooms), user_(user), room_(room), snapshot_(rooms.database.snapshot()) {}

  Result<EntryContext> run() {
    POLDER_CHECK(read_account());
    POLDER_TRY(const auto number, rooms_.find(room_));
    if (number) {
      POLDER_CHECK(read_membership(*number));
      POLDER_CHECK(read_room(rooms_.head(*number)));
    }
    if (const auto server = room_.server()) add(*server);
    for (const std::string& server : later_)
      add(server);
    return std::move(context_);
  }

 private:
  void add(std::string_view name) {
    auto server = ServerName::parse(name);
    if (!server.ok() || *server == rooms_.own_name) return;
    if (context_.servers.size() == kKnownServersMax) return;
    if (std::ranges::find(context_.servers, *server) == context_.servers.end())
      context_.servers.push_back(*std::move(server));
  }

  void add_sender_of_membership(const UserId& sender) {
    add(sender.server());
    if (context_.membership == stores::Membership::kInvite && !context_.servers.empty())
      context_.inviter = context_.servers.front();
  }

  Status read_account() {
    POLDER_TRY(const auto user, rooms_.names.find(stores::NameKind::kUser, user_.view()));
    if (!user) return {};
    POLDER_TRY(const auto account, stores::read_account(*snapshot_, *user));
    context_.guest = account && account->guest;
    return {};
  }

  Status read_membership(stores::RoomNumber room) {
    POLDER_TRY(const auto user, rooms_.names.find(stores::NameKind::kUser, user_.view()));
    if (!user) return {};
    POLDER_TRY(const auto row, stores::read_membership(*snapshot_, *user, room));
    if (!row) return {};
    context_.membership = row->membership;
    event_ = row->event;
    if (row->event == 0 && !row->stripped_state.empty()) read_stripped(row->stripped_state);
    return {};
  }

  // The room's version, who invited, and whom else the state names.
  void read_stripped(std::string_view text) {
    const auto list = json::parse(text);
    if (!list.ok() || list->as_array() == nullptr) return;
    for (const json::Value& value : *list->as_array()) {
      const json::Object* event = value.as_object();
      const std::string* sender = event != nullptr ? event->find_string("sender") : nullptr;
      const auto user = UserId::parse(sender != nullptr ? *sender : "");
      const std::string* type = event != nullptr ? event->find_string("type") : nullptr;
      const std::string* state_key = event != nullptr ? event->find_string("state_key") : nullptr;
      if (!user.ok() || type == nullptr || state_key == nullptr) continue;
      if (*type == "m.room.create") {
        const json::Object* content = event->find_object("content");
        const std::string* version =
            content != nullptr ? content->find_string("room_version") : nullptr;
        context_.rules = events::find_room_version(version != nullptr ? *version : "1");
      }
      if (*type == "m.room.member" && *state_key == user_.view()) {
        add_sender_of_membership(*user);
      } else {
        later_.emplace_back(user->server());
      }
    }
  }

  Status read_room(const RoomHeadPtr& head) {
    if (!head || head->record.extremities.empty()) return {};
    context_.followed = head->record.local_joined;
    context_.rules = head->rules;
    const RoomReader reader(rooms_, head);
    if (context_.followed) {
      POLDER_TRY(context_.restricted, rooms::restricted_join(rooms_, reader, user_));
    } else if (event_ != 0) {
      POLDER_TRY(const auto held, reader.view().load(event_));
      add_sender_of_membership(held.event->sender());
    }
    return read_servers(*head);
  }

  // Those with the most members are the least likely to have left.
  Status read_servers(const rooms::RoomHead& head) {
    if (!head.servers) return {};
    std::vector<std::pair<uint64_t, stores::ServerNumber>> servers;
    for (const auto& [server, members] : *head.servers)
      servers.emplace_back(members, server);
    std::ranges::sort(servers, std::greater());
    if (servers.size() > kKnownServersMax + 1) servers.resize(kKnownServersMax + 1);
    for (const auto& [members, server] : servers) {
      POLDER_TRY(std::string name, rooms_.names.name(stores::NameKind::kServer, server));
      later_.push_back(std::move(name));
    }
    return {};
  }

  const rooms::RoomSource& rooms_;
  const UserId& user_;
  const RoomId& room_;
  std::shared_ptr<const kv::Snapshot> snapshot_;
  stores::EventNumber event_ = 0;
  std::vector<std::string> later_;
  EntryContext context_;
};

}  // namespace

Result<EntryContext> find_context(const rooms::RoomSource& rooms, const UserId& user,
                                  const RoomId& room) {
  return Finder(rooms, user, room).run();
}

}  // namespace polder::entry
