#include "homeserver/server/surroundings.h"

#include <filesystem>
#include <fstream>

namespace polder::server {
namespace {

ListenerConfig listener(std::string bind, std::string key = "") {
  ListenerConfig made;
  made.bind = std::move(bind);
  made.tls_key = std::move(key);
  return made;
}

TEST(Surroundings, ABindIsAnAddressOrANameOfThisMachine) {
  EXPECT_EQ(*bind_addresses("127.0.0.1"), std::vector<std::string>{"127.0.0.1"});
  EXPECT_EQ(*bind_addresses("::1"), std::vector<std::string>{"::1"});
  const auto local = bind_addresses("localhost");
  ASSERT_TRUE(local.ok()) << local.error().message;
  EXPECT_TRUE(std::ranges::count(*local, "127.0.0.1") + std::ranges::count(*local, "::1") > 0);
  Config config;
  config.listeners.push_back(listener("127.0.0.1"));
  EXPECT_TRUE(unknown_binds(config).empty());
  config.listeners.push_back(listener("name.invalid"));
  ASSERT_EQ(unknown_binds(config).size(), 1u);
  EXPECT_NE(unknown_binds(config).front().find("\"name.invalid\" is no address"),
            std::string::npos);
}

TEST(Surroundings, SecretsThatEverybodyMayReadAreTold) {
  namespace fs = std::filesystem;
  std::string directory = testing::TempDir() + "polder-secrets-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const std::string path = directory + "/polder.toml";
  std::ofstream(path) << "x";
  const auto warnings = [&](const Config& config, fs::perms permissions) {
    fs::permissions(path, permissions);
    return readable_secrets(config, path).size();
  };
  constexpr auto kOwner = fs::perms::owner_read;
  constexpr auto kAll = fs::perms::owner_read | fs::perms::group_read | fs::perms::others_read;
  Config config;
  EXPECT_EQ(warnings(config, kAll), 0u) << "no secret";
  config.registration.shared_secret = "x";
  EXPECT_EQ(warnings(config, kAll), 1u);
  EXPECT_EQ(warnings(config, kOwner), 0u);
  config.registration.shared_secret.clear();
  config.turn.shared_secret = "x";
  EXPECT_EQ(warnings(config, kAll), 1u);
  config.listeners.push_back(listener("::1", path));
  EXPECT_EQ(warnings(config, kAll), 2u);
  EXPECT_EQ(warnings(config, kOwner), 0u);
  const std::string registration = directory + "/irc.yaml";
  std::ofstream(registration) << "x";
  fs::permissions(registration, kAll);
  EXPECT_EQ(warnings(config, kOwner), 0u) << "no registration";
  config.appservices.directory = directory;
  EXPECT_EQ(warnings(config, kOwner), 1u);
  fs::permissions(registration, kOwner);
  EXPECT_EQ(warnings(config, kOwner), 0u);
  fs::remove_all(directory);
}

}  // namespace
}  // namespace polder::server
