// As pch.h, with GoogleTest.
#pragma once

#include "pch.h"

#include <gtest/gtest.h>
