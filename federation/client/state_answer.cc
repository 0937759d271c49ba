#include "federation/client/state_answer.h"

#include "federation/client/answers.h"
#include "homeserver/base/json/parse.h"

namespace polder::client {
namespace {

constexpr size_t kServersInRoomMax = 100'000;
enum List : uint8_t { kState, kAuthChain, kServers };

}  // namespace

StateAnswer::StateAnswer(std::string state_list) : state_list_(std::move(state_list)) {
  begin();
}

void StateAnswer::begin() {
  wire::StreamCutLimits limits;
  limits.elements = kStateEventsMax;
  limits.element_bytes = kPduBytesMax;
  limits.members = kMembersMax;
  limits.member_bytes = kPduBytesMax;
  cutter_.emplace(std::vector<std::string>{state_list_, "auth_chain", "servers_in_room"}, limits);
  told_ = {};
  servers_.clear();
}

Task<Status> StateAnswer::take(std::string piece) {
  co_return cutter_->take(
      piece, [this](size_t list, std::string element) { return keep(list, std::move(element)); });
}

Status StateAnswer::keep(size_t list, std::string element) {
  element.shrink_to_fit();
  if (list == kState) told_.state.push_back(std::move(element));
  if (list == kAuthChain) told_.auth_chain.push_back(std::move(element));
  if (list == kServers && servers_.size() < kServersInRoomMax)
    servers_.push_back(std::move(element));
  return {};
}

Result<rooms::RemoteState> StateAnswer::finish() {
  POLDER_CHECK(cutter_->finish());
  if (!cutter_->has(kState) || !cutter_->has(kAuthChain))
    return fail(ErrorCode::kMissing, state_list_ + " or auth_chain is missing");
  return std::move(told_);
}

std::vector<ServerName> StateAnswer::servers_in_room() const {
  std::vector<ServerName> servers;
  for (const std::string& text : servers_) {
    const auto value = json::parse(text);
    if (!value.ok() || value->as_string() == nullptr) continue;
    auto server = ServerName::parse(*value->as_string());
    if (server.ok()) servers.push_back(*std::move(server));
  }
  return servers;
}

}  // namespace polder::client
