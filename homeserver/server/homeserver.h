// One homeserver: everything that it is made of, built in order and torn down in reverse.
#pragma once

#include <memory>

#include "homeserver/rooms/write/step_sizes.h"
#include "homeserver/server/config.h"

namespace polder::egress {
class Resolver;
}
namespace polder::feed {
class Followers;
}
namespace polder::files {
class FileSystem;
}
namespace polder::http {
class Router;
class Transport;
}  // namespace polder::http
namespace polder::kv {
class Committer;
class Database;
}  // namespace polder::kv
namespace polder::metrics {
class Registry;
}
namespace polder::rooms {
struct RoomEngine;
}
namespace polder::runtime {
class Runtime;
}
namespace polder::users {
class Accounts;
class IdentityProvider;
class Sessions;
}  // namespace polder::users

namespace polder::server {

// What comes from outside (docs/architecture.md, decision 2).
struct Outside {
  runtime::Runtime& runtime;
  files::FileSystem& files;
  kv::Database& database;
  http::Transport& transport;
  egress::Resolver& resolver;
  rooms::StepSizes steps = {};
  users::IdentityProvider* identities = nullptr;  // null: passwords that are kept here
};

class Homeserver {
 public:
  // With a newer configuration, as after a reload: of that, what may change while the server runs.
  static Result<std::unique_ptr<Homeserver>> create(Config config, Outside outside,
                                                    const Config* newest = nullptr);
  ~Homeserver();

  // Begins what goes on by itself: sending to other servers, sweeping media. Before the runtime
  // runs.
  Status start();

  const Config& config() const;  // as at the start
  // Takes what may change while it runs (ConfigKey::needs_restart), and the registrations of
  // application services from their files; if those have a fault, nothing. Reads the disk;
  // thread-safe.
  Status reconfigure(const Config& config);
  const http::Router& router() const;
  users::Accounts& accounts();
  users::Sessions& sessions();
  metrics::Registry& metrics();
  kv::Committer& committer();
  feed::Followers& followers();
  rooms::RoomEngine& rooms();

 private:
  class Impl;
  explicit Homeserver(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace polder::server
