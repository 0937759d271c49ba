// What an event adds to its batch for unread counts: a row for each local user whom it highlights,
// and how far its sender, and who joins by it, have read.
#pragma once

#include "homeserver/rooms/model/ports.h"
#include "storage/stores/base/names.h"

namespace polder::push {

class Highlights final : public rooms::Contributor {
 public:
  // The names outlive it.
  Highlights(const stores::Names& names, ServerName own_name)
      : names_(names), own_name_(std::move(own_name)) {}

  Status contribute(const rooms::StoredEvent& event, const std::vector<rooms::StateChange>& changes,
                    kv::Batch& batch) override;

 private:
  // Of a member, who has a number since they became one.
  Result<stores::UserNumber> number_of(std::string_view user) const;
  Status mark_joined(const rooms::StoredEvent& event, const rooms::StateChange& change,
                     kv::Batch& batch) const;

  const stores::Names& names_;
  const ServerName own_name_;
};

}  // namespace polder::push
