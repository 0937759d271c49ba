// The answer of a server that tells a state: its lists of events are cut while it arrives.
#pragma once

#include <string>
#include <string_view>

#include "federation/wire/stream_cut.h"
#include "homeserver/base/http/message.h"
#include "homeserver/rooms/model/ports.h"

namespace polder::client {

// Takes the body, then is asked for what was in it. PDUs larger than any event are left out.
class StateAnswer final : public http::BodySink {
 public:
  // What the answer calls the list of the state.
  explicit StateAnswer(std::string state_list);

  void begin() override;
  Task<Status> take(std::string piece) override;

  // What keeps the body's bytes counted, for whoever holds what was told.
  void count(std::shared_ptr<const void> held) { told_.counted = std::move(held); }

  // After the body's end; kMalformed if it was no object, kMissing without both lists.
  Result<rooms::RemoteState> finish();
  std::vector<ServerName> servers_in_room() const;
  Result<std::string_view> member(std::string_view name) const { return cutter_->member(name); }

 private:
  Status keep(size_t list, std::string element);

  const std::string state_list_;
  std::optional<wire::StreamCutter> cutter_;
  rooms::RemoteState told_;
  std::vector<std::string> servers_;  // JSON texts
};

}  // namespace polder::client
