// What nearly every file needs, compiled once. In four kinds (see CMakeLists.txt), each with and
// without GoogleTest: the cellar sees the standard library only; what stands above it, the headers
// that nearly everything there includes. A file includes what it uses all the same:
// tests/architecture reads its includes, not what the precompiled header happens to bring.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#ifdef POLDER_PCH_COROUTINES
#include <boost/asio/awaitable.hpp>
#endif

#ifdef POLDER_PCH_HOUSE
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/values/bytes.h"
#include "homeserver/protocol/events/event.h"
#include "storage/kv/kv.h"
#ifdef POLDER_PCH_COROUTINES
#include "homeserver/base/runtime/sync.h"
#include "storage/kv/committer.h"
#endif
#endif

#ifdef POLDER_PCH_TESTS
#include <gtest/gtest.h>
#endif
