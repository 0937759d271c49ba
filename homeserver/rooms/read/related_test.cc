#include "homeserver/rooms/read/related.h"

#include "homeserver/rooms/engine/testing/engine.h"

namespace polder::rooms {
namespace {

class RelatedTest : public RoomsTest {
 protected:
  EventId relate(const std::string& rel_type, const EventId& parent) {
    const auto sent = run(engine_->writer.send(
        room_, {.sender = alice_,
                .type = "m.room.message",
                .content = {{"body", "x"},
                            {"m.relates_to", json::object({{"rel_type", rel_type},
                                                           {"event_id", parent.str()}})}}}));
    EXPECT_TRUE(sent.ok());
    return sent->id;
  }
  RelatedPage read(const EventId& parent, const RelatedQuery& query) {
    const RoomReader reader(engine_->source(), *engine_->source().head(room_));
    auto page = read_related(reader, *reader.reader(alice_), parent, query);
    EXPECT_TRUE(page.ok());
    return *std::move(page);
  }
  static std::vector<EventId> ids(const RelatedPage& page) {
    std::vector<EventId> all;
    for (const auto& [number, held] : page.events)
      all.push_back(held.event->id());
    return all;
  }

  const RoomId room_ = create();
};

TEST_F(RelatedTest, WhatIsAskedForIsFoundBehindThousandsOfOthers) {
  const EventId root = say(room_, alice_, "root")->id;
  const EventId reply = relate("m.thread", root);
  const stores::EventPlace place = **stores::find_event(*database_->snapshot(), reply);
  kv::Batch batch;
  for (int i = 0; i < 5100; ++i) {
    stores::Relation relation;
    relation.place.depth = 1000;
    relation.child = place.number;
    relation.rel_type = "m.annotation";
    relation.type = "m.reaction";
    stores::put_relation(batch, place.room, root, relation, batch.reserve_position());
  }
  ASSERT_TRUE(run(committer_->commit(std::move(batch))).ok());
  RelatedQuery query{.rel_type = "m.thread", .from = stores::kLastPlace, .limit = 5};
  std::vector<EventId> found;
  size_t pages = 0;
  for (bool more = true; more && pages < 5; ++pages) {
    const RelatedPage page = read(root, query);
    for (const EventId& id : ids(page))
      found.push_back(id);
    more = page.next.has_value();
    if (more) query.from = *page.next;
  }
  EXPECT_EQ(found, std::vector<EventId>{reply});
  EXPECT_EQ(pages, 2u);
}

TEST_F(RelatedTest, RelationsOfRelationsAreFollowedOverThreeSteps) {
  const EventId root = say(room_, alice_, "root")->id;
  std::vector<EventId> chain = {root};
  for (int i = 0; i < 4; ++i)
    chain.push_back(relate("m.reference", chain.back()));
  const EventId beside = relate("m.thread", root);
  RelatedQuery query{.from = stores::kLastPlace, .limit = 10};
  EXPECT_EQ(ids(read(root, query)), (std::vector<EventId>{beside, chain[1]}));
  query.recurse = true;
  EXPECT_EQ(ids(read(root, query)), (std::vector<EventId>{beside, chain[3], chain[2], chain[1]}));
  query.rel_type = "m.reference";
  query.forwards = true;
  query.from = {};
  query.to = stores::kLastPlace;
  query.limit = 2;
  RelatedPage page = read(root, query);
  EXPECT_EQ(ids(page), (std::vector<EventId>{chain[1], chain[2]}));
  ASSERT_TRUE(page.next.has_value());
  query.from = *page.next;
  page = read(root, query);
  EXPECT_EQ(ids(page), std::vector<EventId>{chain[3]});
  EXPECT_FALSE(page.next.has_value());
}

}  // namespace
}  // namespace polder::rooms
