#include "federation/wire/authorization.h"
#include "federation/wire/cut.h"
#include "federation/wire/multipart.h"
#include "federation/wire/server_keys.h"
#include "federation/wire/transaction.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/values/bytes.h"
#include "homeserver/protocol/events/signing.h"

namespace polder::wire {
namespace {

crypto::SigningKey make_key(char c) {
  return std::move(
      *crypto::SigningKey::from_seed(KeyId::trusted(std::string("ed25519:") + c),
                                     base::base64_encode(as_bytes(std::string(32, c)))));
}
const ServerName kA = ServerName::trusted("a.example");
const ServerName kB = ServerName::trusted("b.example");

std::string signature_text(char c = 'A') {
  return std::string(85, c) + "A";
}

TEST(Authorization, ToleratesWhatTheSpecificationAsksFor) {
  const std::string sig = signature_text();
  for (const std::string& header : {
           "X-Matrix origin=\"a.example\",destination=\"b.example\",key=\"ed25519:1\",sig=\"" +
               sig + "\"",
           "x-matrix   ORIGIN=a.example , \t destination=b.example,Key=ed25519:1,sig=" + sig,
           "X-Matrix sig=\"" + sig +
               "\",key=ed25519:1,unknown=\"x,y\",destination=b.example,origin=a.example",
           "X-Matrix origin=\"a\\.ex\\ample\",destination=b.example,key=\"ed25519:1\",sig=\"" +
               sig + "\"",
           "X-Matrix origin = \"a.example\",,destination=b.example,key=ed25519:1,sig=" + sig + ",",
       }) {
    const auto found = parse_authorization(header);
    ASSERT_TRUE(found.ok()) << header << ": " << found.error().message;
    EXPECT_EQ(found->origin, kA);
    EXPECT_EQ(found->destination, kB);
    EXPECT_EQ(found->key.view(), "ed25519:1");
  }
  const auto port = parse_authorization("X-Matrix origin=a.example:8448,key=ed25519:1,sig=" + sig);
  ASSERT_TRUE(port.ok());
  EXPECT_EQ(port->origin.view(), "a.example:8448");
  EXPECT_FALSE(port->destination.has_value());
}

TEST(Authorization, RefusesTheRest) {
  const std::string sig = signature_text();
  const std::string rest = ",key=ed25519:1,sig=" + sig;
  for (const std::string& header : {
           std::string(),
           std::string("X-Matrix"),
           "Bearer origin=a" + rest,
           "X-Matrixorigin=a" + rest,
           std::string("X-Matrix origin=a.example"),
           "X-Matrix origin=\"a.example" + rest,
           std::string("X-Matrix origin=\"a.example\\"),
           "X-Matrix origin=" + rest,
           "X-Matrix origin=a.example,origin=b.example" + rest,
           "X-Matrix origin=a.example destination=b.example" + rest,
           "X-Matrix origin=\"not a name\"" + rest,
           "X-Matrix origin=a.example,key=nocolon,sig=" + sig,
           std::string("X-Matrix origin=a.example,key=ed25519:1,sig=abcd"),
           "X-Matrix origin=" + std::string(5000, 'a') + rest,
       }) {
    EXPECT_FALSE(parse_authorization(header).ok()) << header;
  }
}

TEST(Authorization, SignsMethodTargetServersAndBody) {
  const auto key = make_key('1');
  const SignedRequest request{"PUT", "/_matrix/federation/v1/send/1?a=%20", kA, kB, "{\"a\":1}"};
  const auto header = parse_authorization(authorize(request, key));
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->origin, kA);
  EXPECT_EQ(header->destination, kB);
  EXPECT_TRUE(verify(request, *header, key.verify_key()));
  EXPECT_FALSE(verify(request, *header, make_key('2').verify_key()));
  std::vector<SignedRequest> others(5, request);
  others[0].method = "POST";
  others[1].uri = "/_matrix/federation/v1/send/1";
  others[2].destination = kA;
  others[3].content = "{\"a\":2}";
  others[4].content = {};
  for (const SignedRequest& other : others)
    EXPECT_FALSE(verify(other, *header, key.verify_key()));
}

TEST(Authorization, SignsAsTheSpecificationsJson) {
  const auto key = make_key('1');
  json::Object object{{"method", "GET"},
                      {"uri", "/target"},
                      {"origin", kA.str()},
                      {"destination", kB.str()},
                      {"content", json::object({{"b", 1}})}};
  const auto header = parse_authorization(authorize({"GET", "/target", kA, kB, "{\"b\":1}"}, key));
  EXPECT_TRUE(key.verify_key().verify(events::signed_bytes_of_json(object), header->signature));
}

TEST(Transaction, IsWrittenCanonicallyAndReadBack) {
  OutgoingTransaction out{kA, 5, {R"({"type":"x"})"}, {{"m.typing", json::Object{{"a", 1}}}}};
  const std::string text = write_transaction(out);
  EXPECT_EQ(text, R"({"edus":[{"content":{"a":1},"edu_type":"m.typing"}],"origin":"a.example",)"
                  R"("origin_server_ts":5,"pdus":[{"type":"x"}]})");
  const auto in = read_transaction(text, kA);
  ASSERT_TRUE(in.ok());
  ASSERT_EQ(in->pdus.size(), 1u);
  ASSERT_EQ(in->edus.size(), 1u);
  EXPECT_EQ(in->edus[0].type, "m.typing");
  EXPECT_FALSE(read_transaction(text, kB).ok());
}

TEST(Transaction, OneBadPartDoesNotHoldUpTheRest) {
  const std::string deep = std::string(9'000, '[') + std::string(9'000, ']');
  const auto in = read_transaction(
      R"({"pdus":[1,{"type":"x"},null,{"a":)" + deep + R"(}],"edus":[{"edu_type":"a"},[],)" + deep +
          R"(,{"edu_type":"b","content":{}},{"content":{}},{"edu_type":1,"content":{}}]})",
      kA);
  ASSERT_TRUE(in.ok());
  EXPECT_EQ(in->pdus.size(), 4u);
  EXPECT_EQ(in->pdus[1], R"({"type":"x"})");
  ASSERT_EQ(in->edus.size(), 1u);
  EXPECT_EQ(in->edus[0].type, "b");
}

TEST(Transaction, NumbersAreLimited) {
  const auto with = [](std::string_view name, size_t count) {
    json::Array parts(count, json::object({}));
    return read_transaction(json::write(json::Object{{std::string(name), std::move(parts)}}), kA);
  };
  EXPECT_TRUE(with("pdus", kPdusMax).ok());
  EXPECT_EQ(with("pdus", kPdusMax + 1).error().code, ErrorCode::kTooLarge);
  EXPECT_TRUE(with("edus", kEdusMax).ok());
  EXPECT_EQ(with("edus", kEdusMax + 1).error().code, ErrorCode::kTooLarge);
  EXPECT_FALSE(read_transaction(R"({"pdus":"x"})", kA).ok());
}

TEST(ServerKeys, OwnAnswerIsReadBack) {
  const auto key = make_key('1');
  const auto old = make_key('2');
  const auto answer = write_server_keys(kA, key, {{old.id(), {old.verify_key(), 7}}}, 1000);
  const auto keys = read_server_keys(answer, kA);
  ASSERT_TRUE(keys.ok()) << keys.error().message;
  EXPECT_EQ(keys->valid_until_ts, 1000);
  EXPECT_EQ(keys->current.at(key.id()), key.verify_key());
  EXPECT_EQ(keys->old.at(old.id()).expired_ts, 7);
  EXPECT_EQ(read_server_keys(answer, kB).error().code, ErrorCode::kInvalid);
}

TEST(ServerKeys, KeysThatDoNotSignAreNotBelieved) {
  const auto key = make_key('1');
  const auto stolen = make_key('2');
  auto answer = write_server_keys(kA, key, {}, 1000);
  answer.find("verify_keys")
      ->as_object()
      ->set(stolen.id().str(), json::object({{"key", stolen.verify_key().to_base64()}}));
  EXPECT_EQ(read_server_keys(answer, kA).error().code, ErrorCode::kBadSignature);
  events::sign_json(answer, kA.view(), key);
  const auto keys = read_server_keys(answer, kA);
  ASSERT_TRUE(keys.ok());
  EXPECT_TRUE(keys->current.contains(key.id()));
  EXPECT_FALSE(keys->current.contains(stolen.id()));
  answer.set("valid_until_ts", 2000);
  EXPECT_EQ(read_server_keys(answer, kA).error().code, ErrorCode::kBadSignature);
  answer.erase("signatures");
  EXPECT_FALSE(read_server_keys(answer, kA).ok());
  EXPECT_FALSE(read_server_keys(json::Object{{"server_name", kA.str()}}, kA).ok());
}

TEST(Cut, PartsAreAsTheyStandInTheText) {
  const auto parts = cut_array(R"( [ {"a":["]","\"}"]}, "x,y" ,3, [] ] )", 10);
  ASSERT_TRUE(parts.ok());
  ASSERT_EQ(parts->size(), 4u);
  EXPECT_EQ((*parts)[0], R"({"a":["]","\"}"]})");
  EXPECT_EQ((*parts)[1], R"("x,y")");
  EXPECT_EQ((*parts)[3], "[]");
  const auto members = cut_object(R"({"st\u0061te":[1,2],"b":{}})", 10);
  ASSERT_TRUE(members.ok());
  EXPECT_EQ(*find_member(*members, "state"), "[1,2]");
  EXPECT_EQ(find_member(*members, "c").error().code, ErrorCode::kMissing);
  EXPECT_TRUE(cut_array("[]", 0)->empty());
  EXPECT_TRUE(cut_object("{}", 0)->empty());
}

TEST(Cut, BrokenTextIsRefused) {
  for (const char* text : {"", "[", "[1", "[1,]", "[,1]", "[1]x", "{}", "[\"a]", "[{]}", "[\"a\\"})
    EXPECT_FALSE(cut_array(text, 10).ok()) << text;
  for (const char* text :
       {"", "{", "{\"a\"}", "{\"a\":}", "{1:2}", "{\"a\":1,}", "[]", "{\"a\":1}}"})
    EXPECT_FALSE(cut_object(text, 10).ok()) << text;
  EXPECT_EQ(cut_array("[1,2,3]", 2).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(cut_array("[" + std::string(100'000, '['), 2).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(find_member(*cut_object(R"({"a":1,"\u0061":2})", 9), "a").error().code,
            ErrorCode::kInvalid);
}

TEST(Multipart, PartsHaveHeadersAndBodies) {
  const std::string body =
      "preamble\r\n--xyz\r\nContent-Type: application/json\r\n\r\n{}\r\n--xyz \r\n"
      "content-type:  text/plain\r\nContent-Disposition: "
      "inline\r\n\r\nhello\r\n--xy\r\n--xyz--\r\n";
  for (const char* type :
       {"multipart/mixed; boundary=xyz", "Multipart/Mixed;a=b; Boundary=\"xyz\""}) {
    const auto parts = read_multipart(type, body, 2);
    ASSERT_TRUE(parts.ok()) << type;
    ASSERT_EQ(parts->size(), 2u);
    EXPECT_EQ((*parts)[0].header("content-type"), "application/json");
    EXPECT_EQ((*parts)[0].body, "{}");
    EXPECT_EQ((*parts)[1].header("content-type"), "text/plain");
    EXPECT_EQ((*parts)[1].body, "hello\r\n--xy");
  }
  EXPECT_EQ(read_multipart("multipart/mixed; boundary=xyz", body, 1).error().code,
            ErrorCode::kTooLarge);
  const auto bare = read_multipart("multipart/mixed; boundary=b", "--b\r\n\r\nx\r\n--b--", 1);
  ASSERT_TRUE(bare.ok());
  EXPECT_EQ((*bare)[0].body, "x");
}

TEST(Multipart, AFramedFileIsReadBack) {
  const std::string file = "\r\n--other\r\n\r\nnot a part--";
  const MultipartFrame frame = frame_media(
      "xyz", {{"Content-Type", "image/png"}, {"X-Evil", "a\r\n\r\nb"}, {"X-Last", "c"}});
  const std::string body = frame.head + file + frame.tail;
  const auto parts = read_multipart(frame.content_type, body, 2);
  ASSERT_TRUE(parts.ok());
  ASSERT_EQ(parts->size(), 2u);
  EXPECT_EQ((*parts)[0].header("content-type"), "application/json");
  EXPECT_EQ((*parts)[0].body, "{}");
  EXPECT_EQ((*parts)[1].header("content-type"), "image/png");
  EXPECT_EQ((*parts)[1].headers.size(), 2u);
  EXPECT_EQ((*parts)[1].body, file);
  const MultipartFrame bare = frame_media("xyz", {});
  const std::string empty = bare.head + bare.tail;
  EXPECT_EQ((*read_multipart(bare.content_type, empty, 2))[1].body, "");
}

TEST(Multipart, BrokenBodiesAreRefused) {
  for (const char* type : {"", "text/plain", "multipart/mixed",
                           "multipart/mixed; boundary=", "multipart/form-data; boundary=b"}) {
    EXPECT_FALSE(read_multipart(type, "--b\r\n\r\nx\r\n--b--", 9).ok()) << type;
  }
  for (const char* body : {"", "x", "--b", "--b\r\n", "--b\r\n\r\nx", "--b\r\nA: b\r\n--b--",
                           "--b\r\nno colon\r\n\r\nx\r\n--b--", "--bx\r\n\r\nx\r\n--b--"}) {
    EXPECT_FALSE(read_multipart("multipart/mixed; boundary=b", body, 9).ok()) << body;
  }
}

}  // namespace
}  // namespace polder::wire
