// The lines in which changes of one room wait for each other.
#pragma once

#include <map>
#include <memory>
#include <unordered_map>

#include "federation/entry/entry.h"
#include "homeserver/base/runtime/sync.h"

namespace polder::entry {

// A join that is under way, for those who ask for the same.
struct RoomEntry::Joining {
  explicit Joining(runtime::Runtime& runtime) : ended(runtime) {}
  std::optional<Status> outcome;
  runtime::Signal ended;
};

struct RoomEntry::Line {
  explicit Line(runtime::Runtime& runtime) : queue(runtime) {}
  runtime::SerialQueue queue;
  // By user, and the servers that they name: others may help where these cannot.
  std::map<std::pair<UserId, std::vector<ServerName>>, std::shared_ptr<Joining>> joins;
  size_t users = 0;
};

// Touched only on its shard.
struct RoomEntry::Shard {
  std::unordered_map<RoomId, Line> lines;
};

// The line of a room, which lives as long as somebody is in it.
class RoomEntry::InLine {
 public:
  InLine(runtime::Runtime& runtime, Shard& shard, RoomId room)
      : shard_(shard),
        room_(std::move(room)),
        line_(shard.lines.try_emplace(room_, runtime).first->second) {
    ++line_.users;
  }
  InLine(const InLine&) = delete;
  InLine& operator=(const InLine&) = delete;
  ~InLine() {
    if (--line_.users == 0) shard_.lines.erase(room_);
  }
  Line& operator*() { return line_; }
  Line* operator->() { return &line_; }

 private:
  Shard& shard_;
  const RoomId room_;
  Line& line_;
};

}  // namespace polder::entry
