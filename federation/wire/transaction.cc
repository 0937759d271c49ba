#include "federation/wire/transaction.h"

#include "federation/wire/cut.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"

namespace polder::wire {
namespace {

constexpr size_t kMembersMax = 100;

// An absent list is an empty one: only `pdus` is required, and older servers leave out even that.
Result<std::vector<std::string_view>> take_list(const std::vector<Member>& body,
                                                std::string_view name, size_t max) {
  const auto value = find_member(body, name);
  if (!value.ok() && value.error().code == ErrorCode::kMissing)
    return std::vector<std::string_view>();
  if (!value.ok()) return value.error();
  if (!value->starts_with('[')) return fail(ErrorCode::kInvalid, std::string(name) + " is no list");
  auto parts = cut_array(*value, max);
  if (!parts.ok() && parts.error().code == ErrorCode::kTooLarge)
    return fail(ErrorCode::kTooLarge, "more than " + std::to_string(max) + " " + std::string(name));
  return parts;
}

Status check_origin(const std::vector<Member>& body, const ServerName& origin) {
  const auto text = find_member(body, "origin");
  if (!text.ok() && text.error().code == ErrorCode::kMissing) return {};
  if (!text.ok()) return text.error();
  const auto value = json::parse(*text);
  const std::string* said = value.ok() ? value->as_string() : nullptr;
  if (said != nullptr && *said != origin.view())
    return fail(ErrorCode::kInvalid, "the transaction is of another origin than the request");
  return {};
}

std::optional<Edu> read_edu(std::string_view text) {
  auto object = json::parse_object(text);
  if (!object.ok()) return {};
  const std::string* type = object->find_string("edu_type");
  json::Value* content = object->find("content");
  if (type == nullptr || content == nullptr || content->as_object() == nullptr) return {};
  return Edu{*type, std::move(*content->as_object())};
}

}  // namespace

std::string write_transaction(const OutgoingTransaction& transaction) {
  std::string text;
  json::Writer writer(text);
  writer.begin_object();
  if (!transaction.edus.empty()) {
    writer.key("edus").begin_array();
    for (const Edu& edu : transaction.edus) {
      writer.begin_object().key("content").value(edu.content);
      writer.member("edu_type", edu.type).end_object();
    }
    writer.end_array();
  }
  writer.member("origin", transaction.origin.view());
  writer.member("origin_server_ts", transaction.origin_server_ts);
  writer.key("pdus").begin_array();
  for (const std::string& pdu : transaction.pdus)
    writer.raw(pdu);
  writer.end_array().end_object();
  return text;
}

// Cut rather than parsed: one part that cannot be read is one, not all.
Result<IncomingTransaction> read_transaction(std::string_view body, const ServerName& origin) {
  if (body.starts_with('[')) return fail(ErrorCode::kBadType, "the body is no object");
  POLDER_TRY(const auto members, cut_object(body, kMembersMax));
  POLDER_CHECK(check_origin(members, origin));
  POLDER_TRY(const auto pdus, take_list(members, "pdus", kPdusMax));
  POLDER_TRY(const auto edus, take_list(members, "edus", kEdusMax));
  IncomingTransaction transaction;
  transaction.pdus.assign(pdus.begin(), pdus.end());
  for (const std::string_view text : edus) {
    if (auto edu = read_edu(text)) transaction.edus.push_back(*std::move(edu));
  }
  return transaction;
}

}  // namespace polder::wire
