#include "homeserver/server/version.h"

namespace polder::server {

std::string_view version() {
  return POLDER_VERSION;
}

}  // namespace polder::server
