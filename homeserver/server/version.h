#pragma once

#include <string_view>

namespace polder::server {

// This program's, as the command line and other servers are told it.
std::string_view version();

}  // namespace polder::server
