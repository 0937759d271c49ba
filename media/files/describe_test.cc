#include "media/files/describe.h"

namespace polder::media {
namespace {

TEST(Describe, TakesWhatCanStandInAHeader) {
  EXPECT_EQ(describe("", "")->content_type, "application/octet-stream");
  EXPECT_EQ(describe("text/html; charset=utf-8", "")->content_type, "text/html; charset=utf-8");
  EXPECT_EQ(describe("a/b", "a\r\nb\x7f\x01.txt")->file_name, "ab.txt");
  for (const char* type : {"a/b\r\nSet-Cookie: x", "a/b\x01", "a/\xc3\xa9"})
    EXPECT_FALSE(describe(type, "").ok()) << type;
  EXPECT_FALSE(describe(std::string(256, 'a'), "").ok());
  EXPECT_FALSE(describe("", std::string(1001, 'a')).ok());
  EXPECT_FALSE(describe("", "\xff").ok());
}

TEST(Describe, WhatAnotherServerSaysIsTakenAsFarAsItGoes) {
  const auto good = describe_remote("image/png", "inline; filename=\"a.png\"");
  EXPECT_EQ(good.content_type, "image/png");
  EXPECT_EQ(good.file_name, "a.png");
  const auto bad = describe_remote("image/\x01", "attachment; filename*=utf-8''%ff");
  EXPECT_EQ(bad.content_type, "application/octet-stream");
  EXPECT_EQ(bad.file_name, "");
  EXPECT_EQ(describe_remote("\x01", "inline; filename=x").file_name, "x");
}

// https://spec.matrix.org/v1.19/client-server-api/#serving-inline-content
TEST(Describe, OnlySafeTypesAreShownInline) {
  for (const char* type : {"image/png", "IMAGE/PNG", "text/plain; charset=utf-8", "audio/x-flac"})
    EXPECT_EQ(content_disposition({type, ""}), "inline") << type;
  for (const char* type : {"text/html", "image/svg+xml", "application/pdf", "image/png2", "",
                           "text/html; image/png", "application/xhtml+xml"})
    EXPECT_EQ(content_disposition({type, ""}), "attachment") << type;
}

TEST(Describe, NamesAreReadBack) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a.txt", "attachment; filename=\"a.txt\""},
      {"name;with;semicolons", "attachment; filename=\"name;with;semicolons\""},
      {"with space", "attachment; filename=\"with space\""},
      {"a\"b\\c", "attachment; filename*=UTF-8''a%22b%5Cc"},
      {"\xf0\x9f\x90\x94", "attachment; filename*=UTF-8''%F0%9F%90%94"},
      {"100%", "attachment; filename*=UTF-8''100%25"},
  };
  for (const auto& [name, header] : cases) {
    EXPECT_EQ(content_disposition({"a/b", name}), header);
    EXPECT_EQ(file_name_of(header), name);
  }
}

// RFC 6266, section 5, and what comes instead.
TEST(Describe, ForeignHeadersAreRead) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"Attachment; filename=example.html", "example.html"},
      {"INLINE; FILENAME= \"an example.html\"", "an example.html"},
      {"attachment; filename=\"a\\\"b\"", "a\"b"},
      {"attachment; filename=\"EURO rates\"; filename*=utf-8''%e2%82%ac%20rates",
       "\xe2\x82\xac rates"},
      {"attachment; filename*=iso-8859-1''%e9; filename=e", "e"},
      {"attachment; foo; filename=x", "x"},
      {"attachment; notfilename=x", ""},
      {"attachment", ""},
      {"", ""},
      {"filename=x", ""},
      {"attachment; filename=\"never closed", "never closed"},
      {"attachment; filename=\"\\", "\\"},
      {";;;=;=\"", ""},
  };
  for (const auto& [header, name] : cases)
    EXPECT_EQ(file_name_of(header), name) << header;
}

}  // namespace
}  // namespace polder::media
