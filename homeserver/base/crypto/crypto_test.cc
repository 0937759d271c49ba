#include "homeserver/base/crypto/hash.h"
#include "homeserver/base/crypto/keys.h"

namespace polder::crypto {
namespace {

// https://spec.matrix.org/v1.19/appendices/#cryptographic-test-vectors
constexpr std::string_view kSpecSeed = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";

SigningKey spec_key() {
  return std::move(*SigningKey::from_seed(KeyId::trusted("ed25519:1"), kSpecSeed));
}

TEST(SigningKey, SignsAsTheSpecificationsVectors) {
  const SigningKey key = spec_key();
  EXPECT_EQ(
      base::base64_encode(key.sign("{}")),
      "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ");
  EXPECT_EQ(
      base::base64_encode(key.sign(R"({"one":1,"two":"Two"})")),
      "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw");
}

TEST(VerifyKey, AcceptsOnlyTheRightSignature) {
  const SigningKey key = spec_key();
  Signature signature = key.sign("message");
  EXPECT_TRUE(key.verify_key().verify("message", signature));
  EXPECT_FALSE(key.verify_key().verify("Message", signature));
  signature[63] ^= 1;
  EXPECT_FALSE(key.verify_key().verify("message", signature));
}

TEST(VerifyKey, RefusesMalleatedSignatures) {
  // Adding the group order to the second half gives another encoding of the same number.
  constexpr std::array<uint8_t, 32> kOrder = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                              0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                              0,    0,    0,    0,    0,    0,    0,    0,
                                              0,    0,    0,    0,    0,    0,    0,    0x10};
  const SigningKey key = spec_key();
  Signature signature = key.sign("message");
  unsigned carry = 0;
  for (size_t i = 0; i < 32; ++i) {
    const unsigned sum = signature[32 + i] + kOrder[i] + carry;
    signature[32 + i] = static_cast<uint8_t>(sum);
    carry = sum >> 8;
  }
  EXPECT_FALSE(key.verify_key().verify("message", signature));
}

TEST(VerifyKey, RefusesPointsOfSmallOrderAndWrongLengths) {
  for (const char* text : {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                           "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                           "7P///////////////////////////////////////38", "AAAA", "", "!"}) {
    EXPECT_FALSE(VerifyKey::from_base64(text).ok()) << text;
  }
  const VerifyKey key = spec_key().verify_key();
  EXPECT_EQ(*VerifyKey::from_base64(key.to_base64()), key);
}

TEST(SigningKey, ReadsAndWritesSynapsesLine) {
  base::SystemRandom random;
  const SigningKey key = SigningKey::generate(random);
  const auto back = SigningKey::from_line(key.to_line());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->id(), key.id());
  EXPECT_EQ(back->verify_key(), key.verify_key());
}

TEST(SigningKey, RefusesDamagedAndPubliclyKnownLines) {
  const std::string known = std::string("ed25519 1 ").append(kSpecSeed);
  EXPECT_EQ(SigningKey::from_line(known).error().code, ErrorCode::kInvalid);
  for (const char* line : {"", "ed25519", "ed25519 a", "ed25519 a AAAA",
                           "rsa a AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE",
                           "ed25519 a-b AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}) {
    EXPECT_FALSE(SigningKey::from_line(line).ok()) << line;
  }
}

// Base64 has several forms of the same 32 bytes: with padding, and with other trailing bits.
TEST(SigningKey, RefusesPubliclyKnownKeysInEveryForm) {
  for (const char* seed : {"YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1=",
                           "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA0",
                           "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                           "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB",
                           "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}) {
    const auto key = SigningKey::from_line(std::string("ed25519 1 ").append(seed));
    ASSERT_FALSE(key.ok()) << seed;
    EXPECT_EQ(key.error().code, ErrorCode::kInvalid) << seed;
  }
}

TEST(Hash, MatchesPublishedVectors) {
  EXPECT_EQ(base::hex_encode(sha1("abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");  // FIPS 180
  EXPECT_EQ(base::hex_encode(sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 pieces;
  for (const char* piece : {"a", "", "bc"})
    pieces.add(piece);
  EXPECT_EQ(pieces.finish(), sha256("abc"));
  // RFC 2202, test case 2
  EXPECT_EQ(hmac_sha1_hex("Jefe", "what do ya want for nothing?"),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

// The last of the test vectors in the paper on SipHash, appendix A.
TEST(KeyedHash, MatchesThePublishedVector) {
  HashKey key{};
  std::string data;
  for (size_t i = 0; i < key.size(); ++i)
    key[i] = static_cast<uint8_t>(i);
  for (char c = 0; c < 15; ++c)
    data.push_back(c);
  EXPECT_EQ(keyed_hash(key, data), 0xa129ca6149be45e5u);
}

TEST(Password, OnlyTheSamePasswordMatches) {
  const auto hash = hash_password("correct horse");
  ASSERT_TRUE(hash.ok());
  EXPECT_TRUE(verify_password("correct horse", *hash));
  EXPECT_FALSE(verify_password("correct horse ", *hash));
  EXPECT_FALSE(verify_password("", *hash));
  EXPECT_FALSE(verify_password("x", ""));
  EXPECT_FALSE(verify_password("x", "plain"));
  EXPECT_NE(*hash, *hash_password("correct horse"));
}

TEST(Password, AcceptsBcryptBroughtAlong) {
  // A published vector of the algorithm.
  const std::string hash = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
  EXPECT_TRUE(verify_password("U*U", hash));
  EXPECT_FALSE(verify_password("U*V", hash));
  EXPECT_FALSE(verify_password(std::string("U*U\0x", 5), hash));
}

TEST(Password, RefusesBcryptThatIsBrokenOrWouldTakeForever) {
  for (const char* hash : {"$2a$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
                           "$2a$16$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
                           "$2a$05$CCCCCCCCCCCCCCCCCCCCC.", "$2a$", "*0"}) {
    EXPECT_FALSE(verify_password("U*U", hash)) << hash;
  }
}

TEST(Token, IsRefusedWhenMistyped) {
  base::SystemRandom random;
  const std::string token = make_token(random, "syt");
  EXPECT_TRUE(is_token(token, "syt"));
  EXPECT_FALSE(is_token(token, "abc"));
  for (size_t i = 0; i < token.size(); ++i) {
    std::string wrong = token;
    wrong[i] = wrong[i] == 'x' ? 'y' : 'x';
    EXPECT_FALSE(is_token(wrong, "syt")) << i;
  }
  EXPECT_NE(token_digest(token), token_digest(make_token(random, "syt")));
}

}  // namespace
}  // namespace polder::crypto
