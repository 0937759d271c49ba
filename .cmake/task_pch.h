// As pch.h, for modules whose code is coroutines.
#pragma once

#include "pch.h"

#include <boost/asio/awaitable.hpp>
