#include "homeserver/sync/classic/push_rule_stream.h"

namespace polder::sync {

Result<bool> PushRuleStream::write(const Reading& reading, Part part, json::Writer& writer) {
  const SyncRequest& request = reading.request;
  if (part != Part::kAccountData) return false;
  if (reading.since && !account_data_.changed(0, stores::kPushRulesType)) return false;
  if (!request.filter->account_data.allows_type(stores::kPushRulesType)) return false;
  POLDER_TRY(const std::string content, reading.services.push_rules.account_data(
                                            *reading.snapshot, request.number, request.user));
  writer.begin_object().member("type", stores::kPushRulesType);
  writer.key("content").raw(content).end_object();
  return true;
}

}  // namespace polder::sync
