// Coroutines of this program. A Task runs on the executor on which it was spawned, which is one
// thread's (a "shard"), and is never cancelled: deadlines are checked on return. Parameters are
// taken by value, but for references to services, which outlive every task.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "homeserver/base/values/result.h"

namespace polder::runtime {

template <class T = void>
using Task = boost::asio::awaitable<T>;
using Executor = boost::asio::any_io_executor;

}  // namespace polder::runtime

namespace polder {
using runtime::Task;
}  // namespace polder
