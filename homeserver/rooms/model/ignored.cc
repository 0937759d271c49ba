#include "homeserver/rooms/model/ignored.h"

#include "homeserver/base/json/parse.h"

namespace polder::rooms {

Result<IgnoredUsers> IgnoredUsers::read(const kv::Snapshot& snapshot, stores::UserNumber number,
                                        const UserId& user) {
  IgnoredUsers ignored;
  POLDER_TRY(const auto row, stores::read_account_data(snapshot, number, 0, "m.ignored_user_list"));
  if (!row) return ignored;
  const auto content = json::parse_object(row->content);
  const json::Object* list = content.ok() ? content->find_object("ignored_users") : nullptr;
  if (list == nullptr) return ignored;
  for (const auto& [name, details] : *list) {
    if (name != user.view()) ignored.users_.insert(name);
  }
  return ignored;
}

}  // namespace polder::rooms
