// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/key.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>
#include <vector>

#include "base/files.h"
#include "crypto/der_writer.h"
#include "crypto/pem.h"
#include "tests/support/openssl_command.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay::crypto {
namespace {

using absl::StatusCode;
using testing::HasSubstr;
using Kind = SignatureScheme::Kind;

constexpr KeyType kQuickTypes[] = {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048};

// One key of each type for all tests: RSA keys are slow to make.
const PrivateKey& KeyOf(KeyType type) {
  static std::map<KeyType, std::unique_ptr<PrivateKey>> keys;
  std::unique_ptr<PrivateKey>& key = keys[type];
  if (!key) {
    key = PrivateKey::Generate(type).value();
  }
  return *key;
}

std::string Hex(std::string_view text) { return HexDecode(text).value(); }

TEST(KeyTest, TypesGoByTheNamesOfConfigurations) {
  for (const char* name : {"ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "rsa-4096"}) {
    EXPECT_EQ(KeyTypeName(ParseKeyType(name).value()), name);
  }
  EXPECT_THAT(ParseKeyType("ec-p521\n"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("\"ec-p521\\x0a\"")));
}

TEST(KeyTest, GeneratesKeysOfEachType) {
  EXPECT_EQ(KeyOf(KeyType::kEcP256).public_key().bits(), 256u);
  EXPECT_EQ(KeyOf(KeyType::kEcP384).public_key().bits(), 384u);
  EXPECT_EQ(KeyOf(KeyType::kRsa2048).public_key().bits(), 2048u);
  EXPECT_TRUE(KeyOf(KeyType::kRsa2048).public_key().is_rsa());
  EXPECT_NE(PrivateKey::Generate(KeyType::kEcP256).value()->public_key(),
            KeyOf(KeyType::kEcP256).public_key());
}

TEST(KeyTest, SignsAndVerifiesWithEachScheme) {
  for (KeyType type : kQuickTypes) {
    const PrivateKey& key = KeyOf(type);
    for (Hash hash : {Hash::kSha256, Hash::kSha384, Hash::kSha512}) {
      for (Kind kind : {Kind::kEcdsa, Kind::kRsaPkcs1, Kind::kRsaPss}) {
        const SignatureScheme scheme = {kind, hash};
        const auto signature = Sign(key, scheme, "message");
        ASSERT_EQ(signature.ok(), (kind == Kind::kEcdsa) != key.public_key().is_rsa());
        if (signature.ok()) {
          EXPECT_OK(key.public_key().Verify(scheme, "message", *signature));
          EXPECT_THAT(key.public_key().Verify(scheme, "massage", *signature),
                      StatusIs(StatusCode::kPermissionDenied, HasSubstr("not of this key")));
        }
      }
    }
  }
}

TEST(KeyTest, RefusesEverySingleBitChangeOfASignature) {
  const PrivateKey& key = KeyOf(KeyType::kEcP256);
  const SignatureScheme scheme = key.public_key().DefaultScheme();
  const std::string signature = Sign(key, scheme, "message").value();
  for (size_t bit = 0; bit < signature.size() * 8; bit += 3) {
    std::string changed = signature;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << bit % 8);
    EXPECT_FALSE(key.public_key().Verify(scheme, "message", changed).ok()) << bit;
  }
}

TEST(KeyTest, RefusesRsaSignaturesThatAreChangedCutOrLonger) {
  const PrivateKey& key = KeyOf(KeyType::kRsa2048);
  for (Kind kind : {Kind::kRsaPkcs1, Kind::kRsaPss}) {
    const SignatureScheme scheme = {kind, Hash::kSha256};
    const std::string signature = Sign(key, scheme, "message").value();
    std::string changed = signature;
    changed[100] = static_cast<char>(changed[100] ^ 1);
    for (const std::string& bad :
         {changed, signature.substr(1), signature + '\0', '\0' + signature, std::string(),
          std::string(256, '\xff'), std::string(256, '\0')}) {
      EXPECT_THAT(key.public_key().Verify(scheme, "message", bad),
                  StatusIs(StatusCode::kPermissionDenied, HasSubstr("not of this key")));
    }
  }
}

TEST(KeyTest, RefusesEcdsaSignaturesOutOfFormOrRange) {
  const PublicKey& key = KeyOf(KeyType::kEcP256).public_key();
  const std::string signature =
      Sign(KeyOf(KeyType::kEcP256), key.DefaultScheme(), "message").value();
  const std::string zero = DerUnsigned(""), one = DerUnsigned("\x01");
  const std::string order =
      DerUnsigned(Hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"));
  for (const std::string& bad :
       {std::string(), DerSequence({zero, zero}), DerSequence({zero, one}),
        DerSequence({one, zero}), DerSequence({order, one}), DerSequence({one, order}),
        DerSequence({order, order}), signature + '\0', DerSequence({signature}), DerSequence({one}),
        DerSequence({one, one, one}), DerSequence({Hex("020201"), one}),
        DerSequence({Hex("0201ff"), one}), DerSequence({DerUnsigned(std::string(33, 1)), one})}) {
    EXPECT_FALSE(key.Verify(key.DefaultScheme(), "message", bad).ok()) << HexEncode(bad);
  }
}

TEST(KeyTest, RefusesSha1AndSchemesOfOtherKeys) {
  const PrivateKey& rsa = KeyOf(KeyType::kRsa2048);
  EXPECT_FALSE(Sign(rsa, {Kind::kRsaPkcs1, Hash::kSha1}, "m").ok());
  EXPECT_THAT(rsa.public_key().Verify({Kind::kRsaPkcs1, Hash::kSha1}, "m", ""),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("SHA-1")));
  EXPECT_THAT(rsa.public_key().Verify({Kind::kEcdsa, Hash::kSha256}, "m", ""),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("another kind")));
  EXPECT_THAT(rsa.SignDigest({Kind::kRsaPkcs1, Hash::kSha256}, "short"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("digest of 5 bytes")));
}

TEST(KeyTest, PublicKeysGoBothWaysByTheirNumbers) {
  for (KeyType type : {KeyType::kEcP256, KeyType::kEcP384}) {
    const PublicKey& key = KeyOf(type).public_key();
    EXPECT_EQ(PublicKey::FromEcPoint(key.ec_x(), key.ec_y()).value(), key);
    EXPECT_EQ(PublicKey::ParseSpki(key.spki()).value(), key);
    EXPECT_EQ(key.rsa_modulus() + key.rsa_exponent(), "");
  }
  const PublicKey& rsa = KeyOf(KeyType::kRsa2048).public_key();
  EXPECT_EQ(rsa.rsa_exponent(), std::string("\x01\x00\x01", 3));
  EXPECT_EQ(rsa.rsa_modulus().size(), 256u);
  EXPECT_EQ(PublicKey::FromRsa('\0' + rsa.rsa_modulus(), rsa.rsa_exponent()).value(), rsa);
  EXPECT_EQ(rsa.ec_x() + rsa.ec_y(), "");
  EXPECT_EQ(rsa.KeyIdentifier().size(), 20u);
}

TEST(KeyTest, RefusesPointsThatAreNotOnTheCurve) {
  const PublicKey& key = KeyOf(KeyType::kEcP256).public_key();
  std::string y = key.ec_y();
  y.back() = static_cast<char>(y.back() ^ 1);
  const std::string zero(32, '\0');
  // The field's prime, and with it a coordinate that is out of range.
  const std::string prime = Hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
  EXPECT_THAT(PublicKey::FromEcPoint(key.ec_x(), y),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("not on the curve")));
  EXPECT_FALSE(PublicKey::FromEcPoint(zero, zero).ok());
  EXPECT_FALSE(PublicKey::FromEcPoint(prime, key.ec_y()).ok());
  EXPECT_FALSE(PublicKey::FromEcPoint(key.ec_x(), key.ec_y().substr(1)).ok());
  EXPECT_FALSE(PublicKey::FromEcPoint(key.ec_x().substr(1), key.ec_y().substr(1)).ok());
  EXPECT_FALSE(PublicKey::FromEcPoint("", "").ok());
}

TEST(KeyTest, RefusesRsaKeysThatAreWeakOrOdd) {
  const std::string modulus = KeyOf(KeyType::kRsa2048).public_key().rsa_modulus();
  const std::string e = std::string("\x01\x00\x01", 3);
  EXPECT_THAT(PublicKey::FromRsa(modulus.substr(0, 127) + modulus.back(), e),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("wanted 2048 to 4096")));
  EXPECT_FALSE(PublicKey::FromRsa(std::string(513, '\xff'), e).ok());
  EXPECT_FALSE(PublicKey::FromRsa("", e).ok());
  for (const std::string& bad :
       {std::string(), std::string("\x01"), std::string("\x02"), std::string(5, '\x01')}) {
    EXPECT_THAT(PublicKey::FromRsa(modulus, bad),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("exponent")));
  }
  std::string even = modulus;
  even.back() = static_cast<char>(even.back() & 0xfe);
  EXPECT_THAT(PublicKey::FromRsa(even, e),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("even")));
}

TEST(KeyTest, ReadsNoCutOrLengthenedSpki) {
  for (KeyType type : kQuickTypes) {
    const std::string spki = KeyOf(type).public_key().spki();
    EXPECT_FALSE(PublicKey::ParseSpki(spki + '\0').ok());
    for (size_t size = 0; size < spki.size(); ++size) {
      EXPECT_FALSE(PublicKey::ParseSpki(spki.substr(0, size)).ok()) << size;
    }
  }
}

TEST(KeyTest, Pkcs8GoesBothWays) {
  for (KeyType type : kQuickTypes) {
    const PrivateKey& key = KeyOf(type);
    const std::unique_ptr<PrivateKey> again = PrivateKey::Parse(key.pkcs8()).value();
    EXPECT_EQ(again->public_key(), key.public_key());
    EXPECT_TRUE(again->pkcs8() == key.pkcs8());
    const SignatureScheme scheme = key.public_key().DefaultScheme();
    EXPECT_OK(key.public_key().Verify(scheme, "m", Sign(*again, scheme, "m").value()));
  }
}

TEST(KeyTest, NeverCrashesOnBytesThatAreNoKey) {
  const std::string der(KeyOf(KeyType::kEcP256).pkcs8().Reveal());
  for (size_t i = 0; i < der.size(); ++i) {
    EXPECT_FALSE(PrivateKey::Parse(Secret(der.substr(0, i))).ok()) << i;
    std::string changed = der;
    changed[i] = static_cast<char>(changed[i] ^ 0x81);
    (void)PrivateKey::Parse(Secret(changed));
  }
  EXPECT_FALSE(PrivateKey::Parse(Secret(der + '\0')).ok());
}

TEST(KeyTest, RefusesEcKeysThatAreNoScalarOrOfAnotherPoint) {
  const std::string point = "\x04" + KeyOf(KeyType::kEcP256).public_key().ec_x() +
                            KeyOf(KeyType::kEcP256).public_key().ec_y();
  const std::string curve = DerWrap(DerContextConstructed(0), DerObjectId("1.2.840.10045.3.1.7"));
  const auto parse = [&curve](const std::string& scalar, const std::string& more) {
    return PrivateKey::Parse(Secret(DerSequence({DerSmall(1), DerOctets(scalar), curve, more})));
  };
  std::string five(32, '\0');
  five.back() = 5;
  EXPECT_OK(parse(five, ""));
  EXPECT_THAT(parse(five, DerWrap(DerContextConstructed(1), DerBits(point))),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("of another")));
  EXPECT_FALSE(parse(std::string(32, '\0'), "").ok());
  EXPECT_FALSE(parse(std::string(32, '\xff'), "").ok());
  EXPECT_FALSE(
      parse(Hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"), "").ok());
  EXPECT_FALSE(parse("five", "").ok());
  EXPECT_FALSE(PrivateKey::Parse(Secret(DerSequence({DerSmall(1), DerOctets(five)}))).ok());
}

TEST(KeyTest, SignsOnManyThreadsAtOnce) {
  for (KeyType type : {KeyType::kEcP256, KeyType::kRsa2048}) {
    const PrivateKey& key = KeyOf(type);
    const SignatureScheme scheme = key.public_key().DefaultScheme();
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&key, &scheme] {
        for (int j = 0; j < 5; ++j) {
          EXPECT_OK(key.public_key().Verify(scheme, "m", Sign(key, scheme, "m").value()));
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }
}

TEST(KeyTest, OpensslReadsOurKeys) {
  SKIP_WITHOUT_OPENSSL();
  const TempFolder folder;
  for (KeyType type : kQuickTypes) {
    const std::string path = folder.path() + "/key.pem";
    const PrivateKey& key = KeyOf(type);
    ASSERT_OK(WriteFileAtomically(path, PemEncode("PRIVATE KEY", key.pkcs8().Reveal()), 0600));
    EXPECT_EQ(RunOpenssl("pkey -noout -check -in " + path).exit_code, 0);
    EXPECT_EQ(RunOpenssl("pkey -pubout -in " + path).output,
              PemEncode("PUBLIC KEY", key.public_key().spki()));
  }
}

TEST(KeyTest, ReadsThePemKeysThatOpensslWrites) {
  SKIP_WITHOUT_OPENSSL();
  const TempFolder folder;
  const std::string path = folder.path() + "/key.pem";
  for (const char* command : {
           "ecparam -genkey -noout -name prime256v1 -out ",
           "ecparam -genkey -name secp384r1 -out ",
           "ecparam -genkey -noout -name secp521r1 -out ",
           "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ",
           "genrsa -traditional -out ",
           "genrsa -out ",
       }) {
    ASSERT_EQ(RunOpenssl(command + path).exit_code, 0) << command;
    const auto key = PrivateKey::ParsePem(ReadSecretFile(path).value());
    ASSERT_OK(key) << command;
    EXPECT_EQ(PemEncode("PUBLIC KEY", (*key)->public_key().spki()),
              RunOpenssl("pkey -pubout -in " + path).output);
  }
}

TEST(KeyTest, SaysWhyAPemTextHoldsNoUsableKey) {
  const auto parse = [](std::string_view text) { return PrivateKey::ParsePem(Secret(text)); };
  EXPECT_THAT(parse(""), StatusIs(StatusCode::kInvalidArgument, HasSubstr("no PRIVATE KEY")));
  EXPECT_THAT(parse(PemEncode("CERTIFICATE", "x")),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("no PRIVATE KEY")));
  EXPECT_THAT(parse(PemEncode("PRIVATE KEY", "x")),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("private key")));
  EXPECT_THAT(parse("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("encrypted")));
}

}  // namespace
}  // namespace assay::crypto
