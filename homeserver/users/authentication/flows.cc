#include "homeserver/users/authentication/flows.h"

#include <algorithm>

namespace polder::users {

bool may_follow(const Flows& flows, const Stages& completed, std::string_view stage) {
  return std::ranges::any_of(flows, [&](const Stages& flow) {
    return flow.size() > completed.size() &&
           std::equal(completed.begin(), completed.end(), flow.begin()) &&
           flow[completed.size()] == stage;
  });
}

bool is_complete(const Flows& flows, const Stages& completed) {
  return std::ranges::find(flows, completed) != flows.end();
}

json::Array flows_json(const Flows& flows) {
  json::Array list;
  for (const Stages& flow : flows)
    list.push_back(json::object({{"stages", json::Array(flow.begin(), flow.end())}}));
  return list;
}

}  // namespace polder::users
