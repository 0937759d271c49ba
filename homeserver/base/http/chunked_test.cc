#include "homeserver/base/http/chunked.h"

#include "homeserver/base/http/limits.h"

namespace polder::http {
namespace {

// The content and what follows the body, or "bad", or "more" after the content so far.
std::string decode(const std::string& bytes, size_t step) {
  ChunkedDecoder decoder;
  std::string content;
  size_t used = 0;
  for (size_t size = std::min(step, bytes.size());; size = std::min(size + step, bytes.size())) {
    const auto taken =
        decoder.decode(std::string_view(bytes).substr(used, size - used), content, SIZE_MAX);
    if (!taken.ok()) return "bad";
    used += *taken;
    if (decoder.done()) return content + "|" + bytes.substr(used);
    if (size == bytes.size()) return content + " more";
  }
}

TEST(ChunkedDecoder, TakesBodiesApartHoweverTheyArrive) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"0\r\n\r\n", "|"},
      {"3\r\nabc\r\n0\r\n\r\n", "abc|"},
      {"3\r\nabc\r\nA\r\n0123456789\r\n00\r\n\r\nGET", "abc0123456789|GET"},
      {"3;a=b;c=\"d\"\r\nabc\r\n0;e\r\n\r\n", "abc|"},
      {"3 \r\nabc\r\n0\r\n\r\n", "abc|"},
      {"3\r\nabc\r\n0\r\nX: y\r\nZ:\r\n\r\nGET", "abc|GET"},
      {"3\r\nabc\r\n0\r\n", "abc more"},
      {"3\r\nab", "ab more"},
      {"", " more"},
      {"\r\n", "bad"},
      {"g\r\n", "bad"},
      {"-1\r\n", "bad"},
      {"0x3\r\nabc\r\n0\r\n\r\n", "bad"},
      {" 3\r\nabc\r\n0\r\n\r\n", "bad"},
      {"3\nabc\n0\n\n", "bad"},
      {"3\r\nabcd\r\n0\r\n\r\n", "bad"},
      {"3\r\nabc0\r\n\r\n", "bad"},
      {"3\r\nabc\n0\r\n\r\n", "bad"},
      {"3;a\nb\r\nabc\r\n0\r\n\r\n", "bad"},
      {"3;a\rb\r\nabc\r\n0\r\n\r\n", "bad"},
      {"10000000000000000\r\n", "bad"},
      {"0000000000000003\r\nabc\r\n0\r\n\r\n", "bad"},
      {"0\r\n X: folded\r\n\r\n", "bad"},
      {"0\r\nrubbish\r\n\r\n", "bad"},
      {"0\r\nX: y\n\r\n", "bad"},
      {"0\r\nX: y\rz\r\n\r\n", "bad"},
  };
  for (const auto& [bytes, expected] : cases) {
    EXPECT_EQ(decode(bytes, std::max<size_t>(bytes.size(), 1)), expected) << bytes;
    EXPECT_EQ(decode(bytes, 1), expected) << bytes;
  }
}

TEST(ChunkedDecoder, FramingIsBounded) {
  EXPECT_EQ(decode("1;" + std::string(100'000, 'x'), 1000), "bad");
  EXPECT_EQ(decode("0\r\nX: " + std::string(100'000, 'x'), 1000), "bad");
  // Also when it is spread over many.
  std::string chunks;
  std::string trailers = "0\r\n";
  for (int i = 0; i < 1000; ++i) {
    chunks += "1;" + std::string(100, 'x') + "\r\ny\r\n";
    trailers += "X: " + std::string(100, 'x') + "\r\n";
  }
  EXPECT_EQ(decode(chunks + "0\r\n\r\n", 1000), "bad");
  EXPECT_EQ(decode(trailers + "\r\n", 1000), "bad");
}

TEST(ChunkedDecoder, GivesNoMoreThanIsAskedFor) {
  ChunkedDecoder decoder;
  std::string content;
  const std::string bytes = "5\r\nabcde\r\n0\r\n\r\n";
  EXPECT_EQ(*decoder.decode(bytes, content, 2), 5u);
  EXPECT_EQ(content, "ab");
  EXPECT_FALSE(decoder.done());
}

}  // namespace
}  // namespace polder::http
