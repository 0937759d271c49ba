// Any bytes as a request: what is read of them does not depend on how they arrive.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "homeserver/base/http/chunked.h"
#include "homeserver/base/http/limits.h"
#include "homeserver/base/http/request_head.h"

namespace {

using namespace polder::http;

struct Outcome {
  HeadEnd::Found found = HeadEnd::Found::kMore;
  int status = 0;
  std::string target;
  std::string content;
  bool done = false;
  bool operator==(const Outcome&) const = default;
};

void read_body(std::string_view bytes, size_t step, Outcome& outcome) {
  ChunkedDecoder decoder;
  size_t used = 0;
  for (size_t size = 0; size < bytes.size() && !decoder.done();) {
    size = std::min(size + step, bytes.size());
    const auto taken = decoder.decode(bytes.substr(used, size - used), outcome.content, SIZE_MAX);
    if (!taken.ok()) {
      outcome.status = 400;
      return;
    }
    used += *taken;
  }
  outcome.done = decoder.done();
}

Outcome read(std::string_view bytes, size_t step) {
  Outcome outcome;
  HeadEnd end;
  for (size_t size = 0; size < bytes.size() && outcome.found == HeadEnd::Found::kMore;) {
    size = std::min(size + step, bytes.size());
    outcome.found = end.look(bytes.substr(0, size));
  }
  if (outcome.found == HeadEnd::Found::kFault) outcome.status = end.fault().status;
  if (outcome.found != HeadEnd::Found::kWhole) return outcome;
  const auto head = parse_head(bytes.substr(0, end.size()));
  if (const auto* fault = std::get_if<HeadFault>(&head)) {
    outcome.status = fault->status;
    return outcome;
  }
  const auto& good = std::get<RequestHead>(head);
  outcome.target = good.request.target;
  for (const auto& [name, value] : good.request.headers) {
    if (name.empty() || value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
      std::abort();
  }
  if (good.framing == Framing::kChunked) read_body(bytes.substr(end.size()), step, outcome);
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Outcome whole = read(bytes, std::max<size_t>(size, 1));
  if (read(bytes, 1) != whole || read(bytes, 7) != whole) std::abort();
  return 0;
}
