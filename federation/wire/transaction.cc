#include "federation/wire/transaction.h"

#include "homeserver/base/json/write.h"

namespace polder::wire {
namespace {

// An absent list is an empty one: only `pdus` is required, and older servers leave out even that.
Result<json::Array> take_list(json::Object& body, std::string_view name, size_t max) {
  json::Value* value = body.find(name);
  if (value == nullptr) return json::Array();
  if (value->as_array() == nullptr)
    return fail(ErrorCode::kInvalid, std::string(name) + " is no list");
  if (value->as_array()->size() > max)
    return fail(ErrorCode::kTooLarge, "more than " + std::to_string(max) + " " + std::string(name));
  return std::move(*value->as_array());
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

Result<IncomingTransaction> read_transaction(json::Object body, const ServerName& origin) {
  if (const std::string* said = body.find_string("origin");
      said != nullptr && *said != origin.view())
    return fail(ErrorCode::kInvalid, "the transaction is of another origin than the request");
  POLDER_TRY(json::Array pdus, take_list(body, "pdus", kPdusMax));
  POLDER_TRY(json::Array edus, take_list(body, "edus", kEdusMax));
  IncomingTransaction transaction;
  for (json::Value& pdu : pdus) {
    if (pdu.as_object() != nullptr) transaction.pdus.push_back(std::move(*pdu.as_object()));
  }
  for (json::Value& edu : edus) {
    json::Object* object = edu.as_object();
    if (object == nullptr) continue;
    const std::string* type = object->find_string("edu_type");
    json::Value* content = object->find("content");
    if (type == nullptr || content == nullptr || content->as_object() == nullptr) continue;
    transaction.edus.push_back({*type, std::move(*content->as_object())});
  }
  return transaction;
}

}  // namespace polder::wire
