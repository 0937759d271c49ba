// Any bytes as what another server sends: a header that is accepted is written back as one that
// reads the same, JSON is cut into what parsing it gives, and multipart bodies hold their parts.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "federation/wire/authorization.h"
#include "federation/wire/cut.h"
#include "federation/wire/multipart.h"
#include "federation/wire/stream_cut.h"
#include "federation/wire/transaction.h"
#include "homeserver/base/json/parse.h"

namespace polder::wire {
namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check_header(std::string_view text) {
  const auto read = parse_authorization(text);
  if (!read.ok()) return;
  const auto again = parse_authorization(write_authorization(*read));
  require(again.ok() && again->origin == read->origin && again->destination == read->destination &&
          again->key == read->key && again->signature == read->signature);
}

void check_cuts(std::string_view text) {
  constexpr size_t kMax = 10'000;
  const auto parsed = json::parse(text);
  if (!parsed.ok()) {
    // What is cut is not yet believed; it must only not be misread.
    (void)cut_object(text, kMax).ok();
    (void)cut_array(text, kMax).ok();
    return;
  }
  if (const json::Array* array = parsed->as_array()) {
    const auto parts = cut_array(text, kMax);
    require(parts.ok() && parts->size() == array->size());
    for (size_t i = 0; i < parts->size(); ++i)
      require(*json::parse((*parts)[i]) == (*array)[i]);
  }
  if (const json::Object* object = parsed->as_object()) {
    const auto members = cut_object(text, kMax);
    if (!members.ok()) return;  // a key that is longer than any of the protocol
    require(members->size() == object->size());
    for (const Member& member : *members)
      require(*json::parse(*find_member(*members, member.name)) == *object->find(member.name));
    (void)read_transaction(text, ServerName::trusted("a.example")).ok();
  }
}

// However it is divided, an object is cut into the same parts, and into those that it has.
void check_stream(std::string_view text, size_t length) {
  const StreamCutLimits limits{10'000, text.size() + 1, 10'000, text.size() + 1};
  StreamCutter cutter({"state", "a"}, limits);
  std::vector<std::string> elements;
  const auto keep = [&](size_t list, std::string element) -> Status {
    if (list == 0) elements.push_back(std::move(element));
    return {};
  };
  Status status;
  for (size_t at = 0; at < text.size() && status.ok(); at += length)
    status = cutter.take(text.substr(at, length), keep);
  if (status.ok()) status = cutter.finish();
  const auto parsed = json::parse(text);
  const json::Object* object = parsed.ok() ? parsed->as_object() : nullptr;
  if (object == nullptr) return;
  if (!status.ok()) {
    require(status.error().code == ErrorCode::kTooLarge);  // a key longer than any of the protocol
    return;
  }
  const json::Array* state = object->find_array("state");
  require(cutter.has(0) == (state != nullptr) && elements.size() == (state ? state->size() : 0));
  for (size_t i = 0; i < elements.size(); ++i)
    require(*json::parse(elements[i]) == (*state)[i]);
  for (const auto& [name, value] : *object) {
    const bool list = (name == "state" || name == "a") && value.as_array() != nullptr;
    require(list || *json::parse(*cutter.member(name)) == value);
  }
}

void check_multipart(std::string_view text) {
  const auto parts = read_multipart("multipart/mixed; boundary=b", text, 8);
  if (!parts.ok()) return;
  for (const Part& part : *parts) {
    require(part.body.size() <= text.size());
    require(part.body.find("\r\n--b") == std::string_view::npos);
  }
}

}  // namespace
}  // namespace polder::wire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  polder::wire::check_header(text);
  polder::wire::check_cuts(text);
  polder::wire::check_stream(text, 1);
  polder::wire::check_stream(text, 1 + size / 3);
  polder::wire::check_multipart(text);
  return 0;
}
