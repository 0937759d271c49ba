// Any bytes as a name server's answer.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "homeserver/base/egress/dns_message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto services = polder::egress::parse_services({data, size});
  if (services.ok() && (services->services.empty() || services->ttl.count() < 0)) std::abort();
  return 0;
}
