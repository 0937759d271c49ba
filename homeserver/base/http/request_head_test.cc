#include "homeserver/base/http/request_head.h"

namespace polder::http {
namespace {

// What becomes of the bytes of a head, however they arrive: the status of its refusal, or what was
// read.
std::string read(const std::string& bytes, size_t step) {
  HeadEnd end;
  for (size_t size = std::min(step, bytes.size());; size = std::min(size + step, bytes.size())) {
    const auto found = end.look(std::string_view(bytes).substr(0, size));
    if (found == HeadEnd::Found::kFault) return std::to_string(end.fault().status);
    if (found == HeadEnd::Found::kWhole) break;
    if (size == bytes.size()) return "more";
  }
  const auto head = parse_head(std::string_view(bytes).substr(0, end.size()));
  if (const auto* fault = std::get_if<HeadFault>(&head)) return std::to_string(fault->status);
  const auto& good = std::get<RequestHead>(head);
  std::string text(to_string(good.request.method));
  text.append(" ").append(good.request.target);
  text.append(" ").append(good.request.headers.find("Host"));
  if (good.framing == Framing::kChunked) text += " chunked";
  if (good.framing == Framing::kLength) text += " " + std::to_string(good.length);
  if (good.expects_continue) text += " continue";
  if (!good.keep_alive) text += " close";
  if (!std::string_view(bytes).substr(end.size()).empty()) text += " +";
  return text;
}

struct Case {
  std::string bytes;
  std::string expected;
};

void expect_all(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    EXPECT_EQ(read(c.bytes, c.bytes.size()), c.expected) << c.bytes.substr(0, 200);
    EXPECT_EQ(read(c.bytes, 1), c.expected) << c.bytes.substr(0, 200);
  }
}

std::string with_target(const std::string& target, const std::string& method = "GET") {
  return method + " " + target + " HTTP/1.1\r\nHost: h\r\n\r\n";
}
std::string with_field(const std::string& field) {
  return "POST / HTTP/1.1\r\nHost: h\r\n" + field + "\r\n\r\n";
}

// RFC 9112, sections 2.2, 2.3 and 3.
TEST(RequestHead, RequestLines) {
  const std::string rest = "\r\nHost: h\r\n\r\n";
  expect_all({
      {"GET /a HTTP/1.1" + rest, "GET /a h"},
      {"\r\nGET /a HTTP/1.1" + rest, "GET /a h"},
      {"\r\n\r\n\r\nGET /a HTTP/1.1" + rest, "GET /a h"},
      {std::string(40, '\r'), "400"},
      {"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n", "400"},
      {"\nGET /a HTTP/1.1" + rest, "400"},
      {"GET /a HTTP/1.1" + rest + "more", "GET /a h +"},
      {"GET /a HTTP/1.2" + rest, "GET /a h"},
      {"GET /a HTTP/1.0" + rest, "GET /a h close"},
      {"GET /a HTTP/2.0" + rest, "505"},
      {"GET /a HTTP/0.9" + rest, "505"},
      {"GET /a HTTP/1.10" + rest, "400"},
      {"GET /a HTTP/1" + rest, "400"},
      {"GET /a http/1.1" + rest, "400"},
      {"GET /a" + rest, "400"},
      {"GET  /a HTTP/1.1" + rest, "400"},
      {"GET /a  HTTP/1.1" + rest, "400"},
      {"GET /a b HTTP/1.1" + rest, "400"},
      {"GET\t/a\tHTTP/1.1" + rest, "400"},
      {" GET /a HTTP/1.1" + rest, "400"},
      {"GET /a HTTP/1.1 " + rest, "400"},
      {"G(T /a HTTP/1.1" + rest, "400"},
      {"BREW /a HTTP/1.1" + rest, " /a h"},
      {"get /a HTTP/1.1" + rest, " /a h"},
      {"\x16\x03\x01", "400"},
      {"GET /a HTTP/1.1\nHost: h\n\n", "400"},
      {"GET /a HTTP/1.1\rHost: h\r\r", "400"},
      {"GET /a HTTP/1.1\r\nHost: h\r\n\n", "400"},
      {"GET /a HTTP/1.1\r\nHost: h\r\n", "more"},
      {"", "more"},
      {"\r", "more"},
      {"GET /a", "more"},
  });
}

// RFC 9112, section 3.2.
TEST(RequestHead, RequestTargets) {
  expect_all({
      {with_target("/"), "GET / h"},
      {with_target("/a/b?c=d&e"), "GET /a/b?c=d&e h"},
      {with_target("//a"), "GET //a h"},
      {with_target("*", "OPTIONS"), "OPTIONS * h"},
      {with_target("*"), "400"},
      {with_target("a"), "400"},
      {with_target("?a"), "400"},
      {with_target("http://example.org:8008/a?b"), "GET /a?b example.org:8008"},
      {with_target("HTTPS://example.org/a"), "GET /a example.org"},
      {with_target("https://[2001:db8::1]:1/a"), "GET /a [2001:db8::1]:1"},
      {with_target("http://example.org"), "GET / example.org"},
      {with_target("http://example.org?a"), "GET /?a example.org"},
      {with_target("http://example.org", "OPTIONS"), "OPTIONS * example.org"},
      {with_target("http://"), "400"},
      {with_target("http:///a"), "400"},
      {with_target("http://user@example.org/"), "400"},
      {with_target("ftp://example.org/a"), "400"},
      {with_target("example.org:443", "CONNECT"), "400"},
      {with_target("/a#b"), "400"},
      {with_target("/a\x7f"), "400"},
      {with_target("/\xc3\xa9"), "400"},
      {with_target("/a\tb"), "400"},
      {with_target("/a?b=%zz"), "400"},
      {with_target("/" + std::string(20'000, 'x')), "414"},
      {"GET /" + std::string(20'000, 'x'), "414"},
  });
}

// RFC 9112, sections 3.2 and 5; RFC 9110, section 5.5.
TEST(RequestHead, Fields) {
  const std::string line = "GET / HTTP/1.1\r\n";
  expect_all({
      {line + "Host: h\r\n\r\n", "GET / h"},
      {line + "host:h\r\n\r\n", "GET / h"},
      {line + "HOST: \t h \t\r\n\r\n", "GET / h"},
      {line + "Host:\r\n\r\n", "GET / "},
      {line + "Host: [::1]:80\r\n\r\n", "GET / [::1]:80"},
      {line + "Host: h:\r\n\r\n", "GET / h:"},
      {line + "\r\n", "400"},
      {line + "Host: a\r\nHost: a\r\n\r\n", "400"},
      {"GET / HTTP/1.0\r\n\r\n", "GET /  close"},
      {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
      {line + "Host: a b\r\n\r\n", "400"},
      {line + "Host: a/b\r\n\r\n", "400"},
      {line + "Host: a@b\r\n\r\n", "400"},
      {line + "Host: a:b\r\n\r\n", "400"},
      {line + "Host: [::1\r\n\r\n", "400"},
      {line + "Host : h\r\n\r\n", "400"},
      {line + " Host: h\r\n\r\n", "400"},
      {with_field("X: a\r\n b"), "400"},
      {with_field("X: a\r\n\tb"), "400"},
      {with_field("X"), "400"},
      {with_field(": a"), "400"},
      {with_field("X Y: a"), "400"},
      {with_field("X\xc3\xa9: a"), "400"},
      {with_field("X: \xc3\xa9"), "POST / h"},
      {with_field("X: a\tb"), "POST / h"},
      {with_field(std::string("X: a\0b", 6)), "400"},
      {with_field("X: a\rb"), "400"},
      {with_field("X: a\nY: b"), "400"},
      {with_field("X: \x01"), "400"},
      {with_field("Connection: close"), "POST / h close"},
      {with_field("Connection: keep-alive, Close"), "POST / h close"},
      {with_field("Connection: keep-alive\r\nConnection: close"), "POST / h close"},
      {with_field("Connection: closed"), "POST / h"},
      {with_field("X: " + std::string(70'000, 'x')), "431"},
  });
  std::string many = line + "Host: h\r\n";
  for (int i = 0; i < 100; ++i)
    many += "X: y\r\n";
  expect_all({{many + "\r\n", "431"}});
}

// RFC 9112, sections 6.1 to 6.3: what has no certain end is how requests are smuggled.
TEST(RequestHead, Framing) {
  expect_all({
      {with_field("Content-Length: 5"), "POST / h 5"},
      {with_field("Content-Length: 0"), "POST / h"},
      {with_field("Content-Length: 007"), "POST / h 7"},
      {with_field("Content-Length:"), "400"},
      {with_field("Content-Length: -1"), "400"},
      {with_field("Content-Length: +1"), "400"},
      {with_field("Content-Length: 0x1"), "400"},
      {with_field("Content-Length: 1 1"), "400"},
      {with_field("Content-Length: 1, 1"), "400"},
      {with_field("Content-Length: 1\r\nContent-Length: 1"), "400"},
      {with_field("Content-Length: 1\r\nContent-Length: 2"), "400"},
      {with_field("Content-Length: 99999999999999999999"), "400"},
      {with_field("Content-Length : 1"), "400"},
      {with_field("Transfer-Encoding: chunked"), "POST / h chunked"},
      {with_field("transfer-encoding: CHUNKED"), "POST / h chunked"},
      {with_field("Transfer-Encoding: xchunked"), "400"},
      {with_field("Transfer-Encoding: chunkedx"), "400"},
      {with_field("Transfer-Encoding: \"chunked\""), "400"},
      {with_field("Transfer-Encoding: chunked;a=b"), "400"},
      {with_field("Transfer-Encoding: \x0b"
                  "chunked"),
       "400"},
      {with_field("Transfer-Encoding:"), "400"},
      {with_field("Transfer-Encoding: gzip"), "400"},
      {with_field("Transfer-Encoding: identity"), "400"},
      {with_field("Transfer-Encoding: chunked, identity"), "400"},
      {with_field("Transfer-Encoding: chunked, chunked"), "400"},
      {with_field("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), "400"},
      {with_field("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"), "400"},
      {with_field("Transfer-Encoding: gzip, chunked"), "501"},
      {with_field("Transfer-Encoding : chunked"), "400"},
      {with_field("Transfer-Encoding:\r\n chunked"), "400"},
      {with_field("Transfer-Encoding: chunked\r\nContent-Length: 1"), "400"},
      {"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},
      {"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n", "POST /  5 close"},
      {with_field("Expect: 100-continue\r\nContent-Length: 5"), "POST / h 5 continue"},
      {with_field("Expect: 100-Continue\r\nContent-Length: 5"), "POST / h 5 continue"},
      {"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", "POST /  5 close"},
  });
}

}  // namespace
}  // namespace polder::http
