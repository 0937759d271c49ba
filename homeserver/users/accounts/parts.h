// What the modules of users are made of.
#pragma once

#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/ids.h"
#include "storage/kv/committer.h"
#include "storage/stores/base/names.h"

namespace polder::users {

// All outlive it.
struct Parts {
  runtime::Runtime& runtime;
  kv::Database& database;
  kv::Committer& committer;
  stores::Names& names;
  ServerName own_name;
};

}  // namespace polder::users
