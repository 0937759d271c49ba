// As task_pch.h, with GoogleTest.
#pragma once

#include "task_pch.h"

#include <gtest/gtest.h>
