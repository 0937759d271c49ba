#include "homeserver/base/values/disk.h"

#include <utility>

#include "homeserver/base/values/mutex.h"

namespace polder::base {
namespace {

thread_local DiskWatch* watching = nullptr;
thread_local ThreadRole role_here = ThreadRole::kWorks;

}  // namespace

WatchedThread::WatchedThread(DiskWatch& watch, ThreadRole role)
    : watch_before_(std::exchange(watching, &watch)),
      role_before_(std::exchange(role_here, role)) {}

WatchedThread::~WatchedThread() {
  watching = watch_before_;
  role_here = role_before_;
}

DiskAllowed::DiskAllowed() : before_(std::exchange(watching, nullptr)) {}

DiskAllowed::~DiskAllowed() {
  watching = before_;
}

void note_disk_use(std::string_view what) {
  if (watching == nullptr) return;
  if (role_here == ThreadRole::kAnswers || internal::locks_held > 0)
    watching->disk_misused(role_here, what);
}

}  // namespace polder::base
