#include "appservices/registry/load.h"

#include <filesystem>
#include <fstream>

#include <sys/stat.h>

namespace polder::appservices {
namespace {

class LoadTest : public testing::Test {
 protected:
  LoadTest() { EXPECT_NE(mkdtemp(directory_.data()), nullptr); }
  ~LoadTest() override { std::filesystem::remove_all(directory_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ + "/" + name) << text;
  }
  static std::string registration(const std::string& id) {
    return "id: " + id + "\nurl: null\nas_token: a" + id + "\nhs_token: h" + id +
           "\nsender_localpart: " + id + "\nnamespaces: {}\n";
  }
  Result<Registry> load() { return load_registry(*files_, directory_, ServerName::trusted("own")); }

  std::unique_ptr<files::FileSystem> files_ = files::real_files();
  std::string directory_ = testing::TempDir() + "polder-registrations-XXXXXX";
};

TEST_F(LoadTest, EveryYamlFileIsOne) {
  EXPECT_TRUE(load()->registrations().empty());
  write("b.yaml", registration("b"));
  write("a.yaml", registration("a"));
  write("notes.txt", "no registration");
  write(".hidden.yaml", "no registration");
  std::filesystem::create_directory(directory_ + "/c.yaml");
  const auto loaded = load();
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  ASSERT_EQ(loaded->registrations().size(), 2u);
  EXPECT_EQ(loaded->registrations()[0].id, "a");
  EXPECT_EQ(loaded->registrations()[1].id, "b");
}

TEST_F(LoadTest, EveryFaultOfEveryFileIsNamed) {
  write("a.yaml", registration("a"));
  write("b.yaml", "{id: b, as_token: x, hs_token: y, sender_localpart: b, namespaces: 5}");
  write("c.yaml", "id: [");
  const auto loaded = load();
  ASSERT_FALSE(loaded.ok());
  const std::string& message = loaded.error().message;
  EXPECT_TRUE(message.starts_with(directory_ + "/b.yaml: url is missing\n" + directory_ +
                                  "/b.yaml: line 1: namespaces must be keys with values\n" +
                                  directory_ + "/c.yaml: line "))
      << message;
  write("c.yaml", std::string(kRegistrationBytesMax + 1, ' '));
  EXPECT_NE(load().error().message.find("/c.yaml: "), std::string::npos);
}

// Nobody ever writes into the pipe.
TEST_F(LoadTest, WhatIsNoRegularFileIsAFault) {
  ASSERT_EQ(::mkfifo((directory_ + "/a.yaml").c_str(), 0600), 0);
  write("b.yaml", registration("b"));
  EXPECT_EQ(load().error().message, directory_ + "/a.yaml: not a regular file");
}

// Each regular expression and each file is within its bounds.
TEST_F(LoadTest, RegularExpressionsThatAreTooLargeTogetherAreRefused) {
  const auto registration_of = [](const std::string& id, const std::string& kind) {
    std::string text = registration(id);
    text.replace(text.find("namespaces: {}"), std::string::npos, "namespaces:\n  " + kind + ":\n");
    for (int i = 0; i < 450; ++i)
      text += "    - {exclusive: true, regex: '@" + std::to_string(i) + "[a-z]{90}x.*'}\n";
    return text;
  };
  write("a.yaml", registration_of("a", "users"));
  write("b.yaml", registration_of("b", "aliases"));
  ASSERT_TRUE(load().ok()) << load().error().message;
  write("c.yaml", registration_of("c", "users"));
  EXPECT_TRUE(load().error().message.starts_with(
      directory_ +
      "/c.yaml: namespaces.users: its regular expressions and those of the files"
      " before it are too large together: "))
      << load().error().message;
}

TEST_F(LoadTest, TwoOfOneIdAreRefused) {
  write("a.yaml", registration("same"));
  write("b.yaml", registration("same"));
  EXPECT_NE(load().error().message.find("b.yaml: id is that of " + directory_ + "/a.yaml too"),
            std::string::npos);
}

TEST_F(LoadTest, WithoutADirectoryThereAreNone) {
  const ServerName own = ServerName::trusted("own");
  EXPECT_TRUE(load_registry(*files_, "", own)->registrations().empty());
  EXPECT_FALSE(load_registry(*files_, directory_ + "/missing", own).ok());
}

}  // namespace
}  // namespace polder::appservices
