// A database of every schema that has been released, opened by this program (tests/fixtures).
#include <fstream>

#include "homeserver/server/consistency.h"
#include "homeserver/server/schema.h"
#include "homeserver/server/testing/homeserver.h"
#include "storage/keys/key.h"

namespace polder::server {
namespace {

// As tests/fixtures/README.md says.
std::string unescaped(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
    } else {
      bytes += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    }
  }
  return bytes;
}

kv::ColumnId column_named(std::string_view name) {
  const auto found = std::ranges::find(stores::kColumns, name,
                                       [](const kv::ColumnSpec& each) { return each.name; });
  EXPECT_NE(found, stores::kColumns.end()) << name;
  return static_cast<kv::ColumnId>(found - stores::kColumns.begin());
}

class FixtureTest : public HomeserverTest, public testing::WithParamInterface<uint64_t> {
 protected:
  void SetUp() override {
    stop();
    configure_ = [](Config& config) {
      config.server_name = ServerName::trusted("fixture.example");
    };
    load();
    {
      const auto database = kv::open_memory(stores::kColumns, disk_);
      base::NullLog log;
      const Status opened = open_schema(*database, ServerName::trusted("fixture.example"), log);
      ASSERT_TRUE(opened.ok()) << opened.error().message;
    }
    start();
  }

  // In the place of what the test began with.
  void load() {
    const std::string path = POLDER_FIXTURES "/schema-" + std::to_string(GetParam()) + "/rows.txt";
    std::ifstream file(path);
    ASSERT_TRUE(file) << path;
    kv::Batch batch;
    for (kv::ColumnId column = 0; column < stores::kColumnCount; ++column)
      batch.erase_range(column, "", std::string(100, '\xff'));
    kv::Position last = 0;
    for (std::string line; std::getline(file, line);) {
      std::istringstream fields(line);
      std::string name, key, value;
      fields >> name >> key >> value;
      batch.put(column_named(name), unescaped(key), unescaped(value));
      if (key == "\\00last_position") last = keys::KeyReader(unescaped(value)).u64();
    }
    ASSERT_GT(last, 0u);
    batch.reserve_position();  // the last one
    const kv::Batch* one = &batch;
    const auto database = kv::open_memory(stores::kColumns, disk_);
    ASSERT_TRUE(database->write({&one, 1}, last, true).ok());
  }

  Answer log_in(const std::string& user) {
    return call("POST", "/_matrix/client/v3/login", "",
                R"({"type":"m.login.password","identifier":{"type":"m.id.user","user":")" + user +
                    R"("},"password":"correct horse","device_id":"NEW"})");
  }
};

TEST_P(FixtureTest, IsConsistent) {
  const auto report = check_consistency(*database_);
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->faults, std::vector<std::string>{});
  EXPECT_EQ(report->rooms, 4u);
  EXPECT_EQ(report->events, 79u);
}

TEST_P(FixtureTest, ItsUsersLogInAndReadTheirRooms) {
  const Answer session = log_in("alice");
  ASSERT_EQ(session.status, 200) << session.text({"error"});
  const std::string token = session.text({"access_token"});
  EXPECT_EQ(call("GET", "/_matrix/client/v3/profile/@alice:fixture.example").text({"displayname"}),
            "Alice");
  const Answer synced = sync(token);
  for (const std::string_view version : {"12", "11", "3", "1"}) {
    const std::string name(version);
    const std::string room =
        call("GET", "/_matrix/client/v3/directory/room/%23room" + name + ":fixture.example")
            .text({"room_id"});
    ASSERT_NE(room, "") << version;
    EXPECT_NE(bodies(synced, room).find("last of " + name + ";"), std::string::npos)
        << version << ": " << bodies(synced, room);
    EXPECT_EQ(
        call("GET", rooms(base::percent_encode(room), "/state/m.room.name"), token).text({"name"}),
        "Room " + name);
    const Answer said = say(token, base::percent_encode(room), "on the new program", "n" + name);
    EXPECT_EQ(said.status, 200) << said.text({"error"});
  }
  EXPECT_NE(synced.text({"account_data", "events"}).find("org.example.note"), std::string::npos);
  const auto report = check_consistency(*database_);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->faults, std::vector<std::string>{});
}

TEST_P(FixtureTest, ItsKeysAndLimitsHold) {
  const std::string token = log_in("bob").text({"access_token"});
  const Answer keys = call("POST", "/_matrix/client/v3/keys/query", token,
                           R"({"device_keys":{"@alice:fixture.example":[]}})");
  EXPECT_NE(keys.text({"device_keys", "@alice:fixture.example", "PHONE"}), "");
  EXPECT_NE(keys.text({"master_keys", "@alice:fixture.example"}), "");
  const Answer claimed =
      call("POST", "/_matrix/client/v3/keys/claim", token,
           R"({"one_time_keys":{"@alice:fixture.example":{"PHONE":"signed_curve25519"}}})");
  EXPECT_NE(claimed.text({"one_time_keys", "@alice:fixture.example", "PHONE"}), "");
  EXPECT_EQ(log_in("erik").status, 403);
  const std::string carol = log_in("carol").text({"access_token"});
  EXPECT_EQ(call("POST", "/_matrix/client/v3/join/%23room11:fixture.example", carol, "{}").status,
            403);
}

INSTANTIATE_TEST_SUITE_P(Schemas, FixtureTest, testing::Values(4));

}  // namespace
}  // namespace polder::server
