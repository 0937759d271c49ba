#include "media/files/library.h"

#include "homeserver/base/crypto/hash.h"
#include "media/files/testing/library.h"

namespace polder::media {
namespace {

constexpr stores::UserNumber kAlice = 1;
constexpr stores::UserNumber kBob = 2;
const MxcUri kOther = MxcUri::trusted("mxc://other.example/abc");

Limits small_limits() {
  Limits limits;
  limits.upload_bytes_max = 1000;
  limits.user_bytes_max = 1500;
  limits.fetched_bytes_max = 250;
  return limits;
}

template <class T>
ErrorCode code_of(const Result<T>& result) {
  EXPECT_FALSE(result.ok());
  return result.ok() ? ErrorCode::kInternal : result.error().code;
}

TEST(Library, AnUploadIsReadBackWhole) {
  TestLibrary test;
  const std::string text = test.runtime().random().letters(700'000);
  PiecesBody body({text.substr(0, 1), text.substr(1, 400'000), text.substr(400'001)});
  const auto uri = test.run(test.library().upload(kAlice, *describe("image/png", "b"), body));
  ASSERT_TRUE(uri.ok()) << uri.error().message;
  EXPECT_TRUE(MxcUri::parse(uri->view()).ok());
  EXPECT_GE(uri->media_id().size(), 22u);  // 128 bits
  EXPECT_EQ(uri->server(), "own.example");
  EXPECT_EQ(*test.content(*uri), text);
  const auto row = test.run(test.library().find(*uri, Millis(0)));
  EXPECT_EQ(row->digest, crypto::sha256(text));
  EXPECT_EQ(row->content_type, "image/png");
  EXPECT_EQ(row->file_name, "b");
  EXPECT_EQ(code_of(test.content(MxcUri::trusted("mxc://own.example/other"))),
            ErrorCode::kNotFound);
}

TEST(Library, APartIsReadAlone) {
  TestLibrary test;
  const std::string text = test.runtime().random().letters(600'000);
  const auto row = test.run(test.library().find(*test.upload(kAlice, text), Millis(0)));
  auto body = test.run(test.library().read(*row, 299'999, 280'001));
  EXPECT_EQ(*test.run(http::read_all(**body, 1 << 20)), text.substr(299'999, 280'001));
}

TEST(Library, EqualContentsAreOneFile) {
  TestLibrary test;
  const auto first = test.upload(kAlice, "same");
  const auto second = test.upload(kBob, "same");
  EXPECT_NE(*first, *second);
  EXPECT_EQ(test.files(), 1u);
  EXPECT_EQ(*test.content(*first), "same");
  EXPECT_EQ(*test.content(*second), "same");
}

TEST(Library, WhatIsTooLargeIsNotReadToItsEnd) {
  TestLibrary test(small_limits());
  PiecesBody body(std::vector<std::string>(100, std::string(100, 'x')));
  EXPECT_EQ(code_of(test.run(test.library().upload(kAlice, *describe("", ""), body))),
            ErrorCode::kTooLarge);
  EXPECT_EQ(body.taken(), 11u);
  EXPECT_EQ(test.files(), 0u);
}

TEST(Library, ABodyThatBreaksOffLeavesNothing) {
  TestLibrary test;
  PiecesBody body({"begin"}, fail(ErrorCode::kUnavailable, "gone"));
  EXPECT_EQ(code_of(test.run(test.library().upload(kAlice, *describe("", ""), body))),
            ErrorCode::kUnavailable);
  EXPECT_EQ(test.files(), 0u);
  EXPECT_EQ(stores::read_media_of_user(*test.database().snapshot(), kAlice)->bytes, 0u);
}

TEST(Library, AFileWhoseRowCannotBeWrittenGoesAgain) {
  TestLibrary test;
  test.rows().fail_after(1);
  EXPECT_FALSE(test.upload(kAlice, "text").ok());
  EXPECT_EQ(test.files(), 0u);
}

TEST(Library, AUserMayHaveSoMuch) {
  TestLibrary test(small_limits());
  ASSERT_TRUE(test.upload(kAlice, std::string(900, 'a')).ok());
  EXPECT_EQ(code_of(test.upload(kAlice, std::string(601, 'b'))), ErrorCode::kForbidden);
  ASSERT_TRUE(test.upload(kAlice, std::string(600, 'b')).ok());
  EXPECT_EQ(code_of(test.upload(kAlice, "c")), ErrorCode::kForbidden);
  EXPECT_EQ(test.files(), 2u);
  EXPECT_TRUE(test.upload(kBob, "c").ok());
}

TEST(Library, UploadsAtOnceDoNotSlipPastTheLimit) {
  TestLibrary test(small_limits());
  std::vector<std::unique_ptr<PiecesBody>> bodies;
  std::vector<std::optional<Result<MxcUri>>> results(kUploadsOfUserMax + 1);
  for (size_t i = 0; i < results.size(); ++i) {
    bodies.push_back(std::make_unique<PiecesBody>(
        std::vector<std::string>(1, std::string(500, static_cast<char>('a' + i)))));
    test.spawn(test.library().upload(kAlice, *describe("", ""), *bodies[i]), results[i]);
  }
  ASSERT_TRUE(test.simulation().run_until(
      [&] { return std::ranges::all_of(results, [](const auto& r) { return r.has_value(); }); },
      Millis(60'000)));
  size_t stored = 0;
  size_t refused = 0;
  for (const auto& result : results) {
    stored += result->ok() ? 1 : 0;
    refused += !result->ok() && result->error().code == ErrorCode::kRateLimited ? 1 : 0;
  }
  EXPECT_LE(stored, 3u);
  EXPECT_EQ(refused, 1u);
  EXPECT_EQ(test.files(), stored);
}

TEST(Library, AnIdIsFilledOnceByWhoCreatedIt) {
  TestLibrary test;
  const auto created = test.run(test.library().create(kAlice));
  ASSERT_TRUE(created.ok());
  EXPECT_NEAR(static_cast<double>(created->expires_ms - test.simulation().clock().wall_ms()),
              static_cast<double>(kPendingLife.count()), 1000);
  const auto fill = [&](stores::UserNumber user, const MxcUri& uri) {
    PiecesBody body({"late"});
    return test.run(test.library().upload_to(user, uri, *describe("", ""), body));
  };
  EXPECT_EQ(code_of(fill(kBob, created->uri)), ErrorCode::kForbidden);
  EXPECT_EQ(code_of(fill(kAlice, MxcUri::trusted("mxc://own.example/x"))), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(fill(kAlice, kOther)), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(test.content(created->uri)), ErrorCode::kTimeout);
  ASSERT_TRUE(fill(kAlice, created->uri).ok());
  EXPECT_EQ(*test.content(created->uri), "late");
  EXPECT_EQ(code_of(fill(kAlice, created->uri)), ErrorCode::kExists);
  EXPECT_EQ(code_of(fill(kAlice, *test.upload(kAlice, "x"))), ErrorCode::kExists);
}

TEST(Library, TwoWhoFillAnIdAtOnceDoNotBoth) {
  TestLibrary test;
  const auto created = test.run(test.library().create(kAlice));
  PiecesBody one({"one"});
  PiecesBody two({"two"});
  std::optional<Status> first;
  std::optional<Status> second;
  test.spawn(test.library().upload_to(kAlice, created->uri, *describe("", ""), one), first);
  test.spawn(test.library().upload_to(kAlice, created->uri, *describe("", ""), two), second);
  ASSERT_TRUE(test.simulation().run_until([&] { return first && second; }, Millis(60'000)));
  EXPECT_NE(first->ok(), second->ok());
  EXPECT_EQ(code_of(first->ok() ? *second : *first), ErrorCode::kExists);
}

TEST(Library, WhoWaitsForAnUploadIsToldOfIt) {
  TestLibrary test;
  const auto created = test.run(test.library().create(kAlice));
  const auto start = test.simulation().clock().steady();
  std::optional<Result<stores::MediaRow>> found;
  test.spawn(test.library().find(created->uri, Millis(30'000)), found);
  test.simulation().run_for(Millis(5'000));
  EXPECT_FALSE(found.has_value());
  PiecesBody body({"late"});
  ASSERT_TRUE(
      test.run(test.library().upload_to(kAlice, created->uri, *describe("", ""), body)).ok());
  ASSERT_TRUE(test.simulation().run_until([&] { return found.has_value(); }, Millis(60'000)));
  EXPECT_TRUE(found->ok());
  EXPECT_LT(test.simulation().clock().steady() - start, std::chrono::seconds(6));
}

TEST(Library, WaitingEnds) {
  TestLibrary test;
  const auto created = test.run(test.library().create(kAlice));
  const auto start = test.simulation().clock().steady();
  EXPECT_EQ(code_of(test.run(test.library().find(created->uri, Millis(500'000)))),
            ErrorCode::kTimeout);
  EXPECT_LT(test.simulation().clock().steady() - start, kWaitMax + Millis(100));
}

TEST(Library, IdsExpireAndAreBounded) {
  TestLibrary test;
  const auto first = test.run(test.library().create(kAlice));
  for (size_t i = 1; i < kPendingOfUserMax; ++i)
    ASSERT_TRUE(test.run(test.library().create(kAlice)).ok());
  EXPECT_EQ(code_of(test.run(test.library().create(kAlice))), ErrorCode::kRateLimited);
  EXPECT_TRUE(test.run(test.library().create(kBob)).ok());
  test.simulation().run_for(kPendingLife);
  PiecesBody body({"late"});
  EXPECT_EQ(
      code_of(test.run(test.library().upload_to(kAlice, first->uri, *describe("", ""), body))),
      ErrorCode::kNotFound);
  EXPECT_EQ(code_of(test.content(first->uri)), ErrorCode::kNotFound);
  ASSERT_TRUE(test.run(test.library().create(kAlice)).ok());
  EXPECT_EQ(stores::read_media_of_user(*test.database().snapshot(), kAlice)->pending.size(), 1u);
}

TEST(Library, TheOldestThatWasFetchedMakesRoom) {
  TestLibrary test(small_limits());
  const auto fetched = [&](const std::string& id, std::string text) {
    PiecesBody body({std::move(text)});
    const MxcUri uri = MxcUri::trusted("mxc://other.example/" + id);
    EXPECT_TRUE(test.run(test.library().keep(uri, *describe("", ""), body)).ok());
    test.simulation().run_for(Millis(10));
    return uri;
  };
  ASSERT_TRUE(test.upload(kAlice, std::string(100, 'a')).ok());
  const MxcUri same = fetched("same", std::string(100, 'a'));
  const MxcUri second = fetched("second", std::string(100, 'b'));
  test.power_loss();
  const MxcUri third = fetched("third", std::string(100, 'c'));
  EXPECT_EQ(code_of(test.content(same)), ErrorCode::kNotFound);
  EXPECT_TRUE(test.content(second).ok());
  EXPECT_TRUE(test.content(third).ok());
  EXPECT_EQ(test.files(), 3u);  // alice's upload has the content of `same`
  const MxcUri large = fetched("large", std::string(900, 'd'));
  EXPECT_TRUE(test.content(large).ok());
  EXPECT_EQ(test.files(), 2u);
}

// Cut at every change of a run: what was acknowledged is there, and nothing else stays.
TEST(Library, APowerCutLosesNothingThatWasAcknowledged) {
  uint64_t changes = 0;
  for (uint64_t cut = 1; cut == 1 || cut <= changes; ++cut) {
    TestLibrary test;
    const uint64_t before = test.disk().changes();
    if (cut > 0) test.disk().cut_power_at(cut);
    std::map<MxcUri, std::string> acknowledged;
    for (const char* text : {"one", "two", "one", "three"}) {
      const auto uri = test.upload(kAlice, text);
      if (uri.ok()) acknowledged.emplace(*uri, text);
    }
    if (changes == 0) {
      TestLibrary whole;
      const uint64_t start = whole.disk().changes();
      for (const char* text : {"one", "two", "one", "three"})
        ASSERT_TRUE(whole.upload(kAlice, text).ok());
      changes = whole.disk().changes() - start;
    }
    EXPECT_GT(test.disk().changes(), before);
    test.power_loss(static_cast<unsigned>(cut * 37 % 101));
    std::set<std::string> contents;
    for (const auto& [uri, text] : acknowledged) {
      const auto content = test.content(uri);
      ASSERT_TRUE(content.ok()) << cut << ": " << content.error().message;
      EXPECT_EQ(*content, text);
      contents.insert(text);
    }
    test.sweep();
    EXPECT_EQ(test.files(), contents.size()) << cut;
  }
  EXPECT_GT(changes, 20u);
}

TEST(ContentStore, TheSweepSparesWhatIsUnderWay) {
  TestLibrary test;
  ASSERT_TRUE(test.upload(kAlice, "kept").ok());
  auto& files = test.disk().files();
  const std::string folder = "/data/media/" + base::hex_encode(crypto::sha256("kept")).substr(0, 2);
  ASSERT_TRUE(files.write_atomically(folder + "/notes.txt", "not a digest").ok());
  ASSERT_TRUE(files.write_atomically(folder + "/" + std::string(62, 'a'), "nobody's").ok());
  ASSERT_TRUE(files.write_atomically("/data/media/new/earlier-1", "half").ok());
  std::vector<std::unique_ptr<PiecesBody>> bodies;
  std::vector<std::optional<Result<MxcUri>>> results(4);
  for (size_t i = 0; i < results.size(); ++i) {
    bodies.push_back(std::make_unique<PiecesBody>(std::vector<std::string>(1, std::to_string(i))));
    test.spawn(test.library().upload(kAlice, *describe("", ""), *bodies[i]), results[i]);
  }
  test.sweep();
  ASSERT_TRUE(test.simulation().run_until(
      [&] { return std::ranges::all_of(results, [](const auto& r) { return r.has_value(); }); },
      Millis(60'000)));
  for (size_t i = 0; i < results.size(); ++i)
    EXPECT_EQ(*test.content(**results[i]), std::to_string(i));
  EXPECT_EQ(test.files(), 6u);  // with "kept" and what is none of the store's
}

TEST(ContentStore, AFileThatIsTooShortIsNotServedAsWhole) {
  TestLibrary test;
  const auto uri = test.upload(kAlice, "twelve bytes");
  const std::string hex = base::hex_encode(crypto::sha256("twelve bytes"));
  auto& files = test.disk().files();
  ASSERT_TRUE(
      files.write_atomically("/data/media/" + hex.substr(0, 2) + "/" + hex.substr(2), "x").ok());
  EXPECT_EQ(code_of(test.content(*uri)), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace polder::media
