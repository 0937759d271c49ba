#include "homeserver/sync/push/testing/push.h"

namespace polder::push {
namespace {

TEST_F(PushTest, WhatWasRedactedIsNotUnread) {
  constexpr std::string_view kBob = R"({"m.mentions": {"user_ids": ["@bob:own"]}})";
  for (const bool own_rules : {false, true}) {
    SCOPED_TRACE(own_rules);
    room_ = create_room();
    join(bob_);
    if (own_rules) {
      ASSERT_TRUE(put(bob_, Kind::kSender, carol_.str(), R"({"actions": ["notify"]})").ok());
    }
    const EventId seen = say(alice_, "seen");
    read(bob_, seen);
    const EventId message = say(alice_, "one"), mention = say(alice_, "bob", kBob);
    const EventId reply = relate(alice_, "m.thread", seen);
    say(alice_, "last");
    expect(bob_, 4, 1, "all");
    redact(seen);
    expect(bob_, 4, 1, "but for what was read");
    redact(message);
    redact(message);
    expect(bob_, 3, 1, "but for a message");
    redact(mention);
    expect(bob_, 2, 0, "but for a mention");
    redact(reply);
    expect(bob_, 1, 0, "but for a reply in a thread");
    crash();
    expect(bob_, 1, 0, "after a crash");
  }
}

}  // namespace
}  // namespace polder::push
