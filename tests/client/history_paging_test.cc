// Paging through history and relations: what the parameters and filters of a page say.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class PagingTest : public HomeserverTest {
 protected:
  void SetUp() override {
    alice_ = join_token("alice");
    bob_ = join_token("bob");
    room_ = create_room(alice_, R"({"preset":"public_chat"})");
    call("POST", rooms(room_, "/join"), bob_);
    for (int i = 0; i < 6; ++i)
      said_.push_back(say(alice_, room_, std::to_string(i), std::to_string(i)).text({"event_id"}));
  }
  std::string relate(const std::string& token, const std::string& type, const std::string& parent,
                     const std::string& body) {
    return call("PUT", rooms(room_, "/send/m.room.message/r" + std::to_string(++transactions_)),
                token,
                R"({"body":")" + body + R"(","m.relates_to":{"rel_type":")" + type +
                    R"(","event_id":")" + parent + "\"}}")
        .text({"event_id"});
  }
  Answer messages(const std::string& query) {
    return call("GET", rooms(room_, "/messages?" + query), alice_);
  }
  Answer relations(const std::string& event, const std::string& query) {
    return call("GET", "/_matrix/client/v1/rooms/" + room_ + "/relations/" + event + query, alice_);
  }
  static std::vector<std::string> ids_in(const Answer& answer) {
    std::vector<std::string> ids;
    for (const json::Value& event : *answer.body.as_object()->find_array("chunk"))
      ids.push_back(*event.as_object()->find_string("event_id"));
    return ids;
  }
  static std::string bodies_in(const Answer& answer, std::string_view list = "chunk") {
    EXPECT_EQ(answer.status, 200) << answer.text({"error"});
    std::string all;
    for (const json::Value& event : *answer.body.as_object()->find_array(list)) {
      if (const json::Value* body = json::at(*event.as_object(), {"content", "body"}))
        all += *body->as_string();
    }
    return all;
  }

  std::string alice_, bob_, room_;
  std::vector<std::string> said_;
  int transactions_ = 0;
};

TEST_F(PagingTest, APageGoesNoFurtherThanItIsToldTo) {
  for (const char* direction : {"b", "f"}) {
    const std::string dir = std::string("dir=") + direction;
    const Answer first = messages(dir + "&limit=3");
    const Answer second = messages(dir + "&limit=3&from=" + first.text({"end"}));
    const std::string from = "&from=" + first.text({"end"});
    const Answer bounded = messages(dir + "&limit=50" + from + "&to=" + second.text({"end"}));
    EXPECT_EQ(ids_in(bounded), ids_in(second));
    EXPECT_EQ(ids_in(bounded).size(), 3u);
    EXPECT_EQ(bounded.text({"end"}), "");
  }
  // Back to where a sync had come.
  const std::string since = sync(alice_).text({"next_batch"});
  say(alice_, room_, "a", "a");
  say(alice_, room_, "b", "b");
  EXPECT_EQ(bodies_in(messages("dir=b&limit=50&to=" + since)), "ba");
  EXPECT_EQ(messages("dir=b&to=nonsense").status, 400);
}

// A page ends between events: its last event is the first of the page back.
TEST_F(PagingTest, WhoTurnsBackIsGivenTheLastEventAgain) {
  for (const auto& [there, back] : {std::pair("dir=b", "&dir=f"), std::pair("dir=f", "&dir=b")}) {
    const Answer first = messages(there + std::string("&limit=3"));
    std::vector<std::string> returned = ids_in(first);
    std::ranges::reverse(returned);
    EXPECT_EQ(ids_in(messages("limit=3&from=" + first.text({"end"}) + back)), returned) << there;
  }
  for (const auto& [limit, backwards, forwards] :
       std::initializer_list<std::tuple<const char*, const char*, const char*>>{
           {"0", "210", "2345"}, {"1", "3210", "2345"}, {"2", "3210", "12345"}}) {
    const Answer context =
        call("GET", rooms(room_, "/context/" + said_[2] + "?limit=" + limit), alice_);
    const std::string filter =
        "&limit=50&filter=" + base::percent_encode(R"({"types":["m.room.message"]})");
    EXPECT_EQ(bodies_in(messages("dir=b&from=" + context.text({"end"}) + filter)), backwards);
    EXPECT_EQ(bodies_in(messages("dir=f&from=" + context.text({"start"}) + filter)), forwards);
  }
  for (const char* reply : {"a", "b", "c"})
    relate(bob_, "m.thread", said_[0], reply);
  const std::string first = relations(said_[0], "?dir=f&limit=2").text({"next_batch"});
  EXPECT_EQ(bodies_in(relations(said_[0], "?dir=b&from=" + first)), "ba");
  EXPECT_EQ(bodies_in(relations(said_[0], "?dir=f&from=" + first)), "c");
}

TEST_F(PagingTest, APageOfNoEventsHasNone) {
  EXPECT_EQ(bodies_in(messages("dir=b&limit=0")), "");
  for (const auto& [limit, before, after] :
       std::initializer_list<std::tuple<const char*, const char*, const char*>>{
           {"0", "", ""}, {"1", "", "3"}, {"2", "1", "3"}, {"4", "10", "34"}}) {
    const Answer context =
        call("GET", rooms(room_, "/context/" + said_[2] + "?limit=" + limit), alice_);
    EXPECT_EQ(bodies_in(context, "events_before"), before) << limit;
    EXPECT_EQ(bodies_in(context, "events_after"), after) << limit;
    EXPECT_EQ(context.text({"event", "content", "body"}), "2");
  }
}

// What stands around an event may be larger than a piece of the answer.
TEST_F(PagingTest, TheContextOfLargeEventsHasAnEnd) {
  const std::string large(40'000, 'x');
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i)
    ids.push_back(say(alice_, room_, large, "large" + std::to_string(i)).text({"event_id"}));
  const Answer context = call("GET", rooms(room_, "/context/" + ids[2] + "?limit=4"), alice_);
  EXPECT_EQ(bodies_in(context, "events_before").size(), 2 * large.size());
  EXPECT_EQ(bodies_in(context, "events_after").size(), 2 * large.size());
  EXPECT_EQ(context.body.as_object()->find_array("state")->size(), 7u);
}

TEST_F(PagingTest, AFilterAsksForWhatOthersRelateTo) {
  relate(alice_, "m.thread", said_[1], "t");
  relate(bob_, "m.thread", said_[2], "u");
  const std::string reference = relate(bob_, "m.reference", said_[3], "v");
  const auto found = [&](const std::string& filter) {
    return bodies_in(messages("dir=f&limit=50&filter=" + base::percent_encode(filter)));
  };
  const struct {
    std::string filter, bodies;
  } cases[] = {
      {R"({"related_by_rel_types":["m.thread"]})", "12"},
      {R"({"related_by_rel_types":["m.thread","m.reference"]})", "123"},
      {R"({"related_by_senders":["@bob:own"]})", "23"},
      {R"({"related_by_senders":["@bob:own"],"related_by_rel_types":["m.thread"]})", "2"},
      {R"({"related_by_senders":["@nobody:own"]})", ""},
      {R"({"related_by_rel_types":[]})", ""},
      {R"({"limit":1,"types":["m.room.message"]})", "0"},
  };
  for (const auto& one : cases)
    EXPECT_EQ(found(one.filter), one.bodies) << one.filter;
  call("PUT", rooms(room_, "/redact/" + reference + "/x"), bob_, "{}");
  EXPECT_EQ(found(R"({"related_by_senders":["@bob:own"]})"), "2");
  EXPECT_EQ(bodies(sync(alice_, "",
                        R"({"room":{"timeline":{"limit":50,)"
                        R"("related_by_rel_types":["m.thread"]}}})"),
                   room_),
            "1;2;");
}

TEST_F(PagingTest, AFilterAsksForTheFormatOfFederation) {
  const auto event = [&](const std::string& filter) {
    const Answer answer = sync(alice_, "", filter);
    const json::Array& events =
        *json::at(*answer.body.as_object(), {"rooms", "join", room_, "timeline", "events"})
             ->as_array();
    return *events.back().as_object();
  };
  const json::Object raw = event(R"({"event_format":"federation"})");
  for (const char* field : {"auth_events", "prev_events", "depth", "hashes", "signatures"}) {
    EXPECT_TRUE(raw.contains(field)) << field;
    EXPECT_FALSE(event(R"({"event_format":"client"})").contains(field)) << field;
  }
}

TEST_F(PagingTest, RelationsArePagedAndSayHowDeepTheyGo) {
  std::string all;
  for (const char* body : {"a", "b", "c", "d"}) {
    relate(alice_, "m.thread", said_[0], body);
    all = body + all;
  }
  EXPECT_EQ(bodies_in(relations(said_[0], "")), all);
  const Answer first = relations(said_[0], "?limit=2");
  EXPECT_EQ(bodies_in(first), "dc");
  const std::string next = first.text({"next_batch"});
  const Answer second = relations(said_[0], "?limit=2&from=" + next);
  EXPECT_EQ(bodies_in(second), "ba");
  EXPECT_EQ(second.text({"next_batch"}), "");
  EXPECT_EQ(second.text({"prev_batch"}), next);
  EXPECT_EQ(bodies_in(relations(said_[0], "?to=" + next)), "dc");
  EXPECT_EQ(first.text({"recursion_depth"}), "");
  const std::string nested =
      relate(bob_, "m.reference", relate(alice_, "m.thread", said_[5], "n"), "o");
  EXPECT_EQ(bodies_in(relations(said_[5], "")), "n");
  const Answer deep = relations(said_[5], "?recurse=true");
  EXPECT_EQ(bodies_in(deep), "on");
  EXPECT_EQ(deep.text({"recursion_depth"}), "3");
  EXPECT_EQ(bodies_in(relations(said_[5], "/m.reference?recurse=true")), "o");
  EXPECT_NE(nested, "");
}

}  // namespace
}  // namespace polder::server
