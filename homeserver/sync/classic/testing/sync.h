// /sync over a server's room engine, for tests.
#pragma once

#include "homeserver/base/json/parse.h"
#include "homeserver/rooms/engine/testing/engine.h"
#include "homeserver/sync/classic/sync.h"

namespace polder::sync {

// Alice of this server syncs.
class SyncTest : public rooms::RoomsTest {
 protected:
  void SetUp() override {
    const users::Parts parts{*runtime_, *database_, *committer_, *names_, own_};
    typing_ = std::make_unique<users::Typing>(runtime_->clock());
    receipts_ = std::make_unique<users::Receipts>(parts);
    turns_ = std::make_unique<users::UserTurns>(parts);
    push_rules_ = std::make_unique<push::Rules>(parts, *turns_);
    counts_ = std::make_unique<push::Counts>(*push_rules_);
    sync_ = std::make_unique<Sync>(
        Services{engine_->source(), *committer_, *typing_, *receipts_, *push_rules_, *counts_});
    kv::Batch batch;
    stores::NewNames names;
    number_ = *names_->intern(stores::NameKind::kUser, alice_.view(), batch, names);
  }

  SyncRequest request(std::string since, Millis timeout = Millis(0)) {
    SyncRequest request;
    request.user = alice_;
    request.number = number_;
    request.device = DeviceId::trusted("D");
    request.filter = std::make_shared<const Filter>();
    request.since = std::move(since);
    request.timeout = timeout;
    return request;
  }
  json::Object sync(std::string since = "", Millis timeout = Millis(0)) {
    auto response = run(sync_->run(request(std::move(since), timeout)));
    EXPECT_TRUE(response.ok()) << response.error().message;
    return *json::parse_object(whole(*response));
  }
  std::string whole(SyncResponse& response) {
    std::string text = response.text;
    while (response.more) {
      const auto piece = run(response.more());
      EXPECT_TRUE(piece.ok());
      if (!piece.ok() || !*piece) break;
      text += **piece;
    }
    return text;
  }
  static std::string next(const json::Object& response) {
    return *response.find_string("next_batch");
  }

  stores::UserNumber number_ = 0;
  std::unique_ptr<users::Typing> typing_;
  std::unique_ptr<users::Receipts> receipts_;
  std::unique_ptr<users::UserTurns> turns_;
  std::unique_ptr<push::Rules> push_rules_;
  std::unique_ptr<push::Counts> counts_;
  std::unique_ptr<Sync> sync_;
};

}  // namespace polder::sync
