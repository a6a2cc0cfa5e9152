// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/structures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/status_matchers.h"
#include "tpm/wire.h"

namespace assay::tpm {
namespace {

using absl::StatusCode;
using testing::HasSubstr;
using testing::Not;

std::string Hex(std::string_view text) { return crypto::HexDecode(text).value(); }

// The base point of P-256, a point as good as any.
constexpr std::string_view kX = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
constexpr std::string_view kY = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

std::string EccDevId(std::string_view attributes = "00040072") {
  return Hex("0023000b").append(Hex(attributes)) +
         Hex("0000"
             "0010"
             "0018000b"
             "0003"
             "0010") +
         WireSized(Hex(kX)) + WireSized(Hex(kY));
}

// An RSA public area of these attributes, policy, symmetric algorithm and scheme.
std::string Rsa(std::string_view attributes, std::string_view policy, std::string_view symmetric,
                std::string_view scheme) {
  return Hex("0001000b").append(Hex(attributes)) + WireSized(Hex(policy)) + Hex(symmetric) +
         Hex(scheme) +
         Hex("0800"
             "00000000") +
         WireSized(std::string(256, '\xc5'));
}
constexpr std::string_view kPolicy =
    "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa";
std::string Ek() { return Rsa("000300b2", kPolicy, "000600800043", "0010"); }
std::string Ak(std::string_view attributes = "00050072") {
  return Rsa(attributes, "", "0010", "0014000b");
}

PublicArea Parse(const std::string& bytes) { return PublicArea::Parse(bytes).value(); }

TEST(PublicAreaTest, ReadsAnEccKey) {
  const absl::StatusOr<PublicArea> area = PublicArea::Parse(EccDevId());
  ASSERT_OK(area);
  EXPECT_EQ(area->attributes, 0x00040072u);
  EXPECT_EQ(area->scheme, 0x0018);
  EXPECT_EQ(area->scheme_hash, 0x000b);
  EXPECT_EQ(area->bytes, EccDevId());
  EXPECT_EQ(crypto::HexEncode(area->Key()->ec_x()), kX);
  EXPECT_EQ(crypto::HexEncode(area->Key()->ec_y()), kY);
  EXPECT_EQ(area->Name().value(), Hex("000b") + crypto::Digest(crypto::Hash::kSha256, EccDevId()));
}

TEST(PublicAreaTest, PadsCoordinatesThatTheTpmCutShort) {
  const std::string shorter = EccDevId().substr(0, 20) + WireSized("\x01") + WireSized(Hex(kY));
  EXPECT_EQ(Parse(shorter).unique.substr(0, 32), std::string(31, '\0') + "\x01");
}

TEST(PublicAreaTest, ReadsAnRsaKeyAndItsDefaultExponent) {
  const PublicArea area = Parse(Ek());
  EXPECT_EQ(area.rsa_bits, 2048);
  EXPECT_EQ(area.exponent, 0u);
  EXPECT_EQ(area.symmetric_bits, 128);
  EXPECT_EQ(area.auth_policy, Hex(kPolicy));
  EXPECT_EQ(area.Key()->rsa_exponent(), Hex("010001"));
}

TEST(PublicAreaTest, RefusesEveryCutAndEveryTail) {
  for (const std::string& whole : {EccDevId(), Ek(), Ak()}) {
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_THAT(PublicArea::Parse(whole.substr(0, size)),
                  StatusIs(StatusCode::kInvalidArgument, testing::_))
          << size;
    }
    EXPECT_THAT(PublicArea::Parse(whole + "x"),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("after its end")));
  }
}

TEST(PublicAreaTest, RefusesWhatItDoesNotKnow) {
  const struct {
    size_t at;
    std::string_view bytes, words;
  } kChanges[] = {{0, "0008", "neither RSA nor ECC"}, {10, "0026", "symmetric"},
                  {12, "001a", "anonymous"},          {16, "0005", "curve"},
                  {20, "0000", "coordinate"},         {20, "0021", "coordinate"}};
  for (const auto& change : kChanges) {
    std::string bytes = EccDevId();
    bytes.replace(change.at, 2, Hex(change.bytes));
    EXPECT_THAT(PublicArea::Parse(bytes),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(std::string(change.words))));
  }
  std::string small = Ak();
  small.replace(small.size() - 264, 2, Hex("0400"));
  EXPECT_THAT(PublicArea::Parse(small),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("modulus")));
  EXPECT_THAT(PublicArea::Parse(std::string(100000, '\0')),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("at most")));
  std::string nameless = EccDevId();
  nameless.replace(2, 2, Hex("0012"));
  EXPECT_THAT(Parse(nameless).Name(), StatusIs(StatusCode::kInvalidArgument, HasSubstr("hash")));
}

std::string Attestation(std::string_view magic = "ff544347", std::string_view type = "8017") {
  return Hex(magic).append(Hex(type)) + WireSized("signer") + WireSized("extra") +
         std::string(25, '\x07') + WireSized("name") + WireSized("qualified");
}

TEST(CertifyInfoTest, ReadsWhatWasCertified) {
  const absl::StatusOr<CertifyInfo> info = CertifyInfo::Parse(Attestation());
  ASSERT_OK(info);
  EXPECT_EQ(info->certified_name, "name");
  EXPECT_EQ(info->extra_data, "extra");
}

TEST(CertifyInfoTest, RefusesOtherAttestationsCutsAndTails) {
  EXPECT_THAT(CertifyInfo::Parse(Attestation("ff544348")),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("magic")));
  EXPECT_THAT(CertifyInfo::Parse(Attestation("ff544347", "8018")),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("0x8018")));
  for (size_t size = 0; size < Attestation().size(); ++size) {
    EXPECT_THAT(CertifyInfo::Parse(Attestation().substr(0, size)), Not(IsOk())) << size;
  }
  EXPECT_THAT(CertifyInfo::Parse(Attestation() + "x"), Not(IsOk()));
  EXPECT_THAT(CertifyInfo::Parse(std::string(100000, '\xff')), Not(IsOk()));
}

// A public area like the template's, but with the key's modulus.
PublicArea AreaOf(const crypto::PrivateKey& key, std::string bytes) {
  return Parse(bytes.replace(bytes.size() - 256, 256, key.public_key().rsa_modulus()));
}

TEST(VerifyTpmSignatureTest, TakesTheSignatureOfItsKeyAndScheme) {
  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kRsa2048).value();
  const PublicArea ak = AreaOf(*key, Ak());
  const std::string raw =
      Sign(*key, {crypto::SignatureScheme::Kind::kRsaPkcs1, crypto::Hash::kSha256}, "m").value();
  const std::string good = Hex("0014000b") + WireSized(raw);
  EXPECT_OK(VerifyTpmSignature(ak, "m", good));
  EXPECT_THAT(VerifyTpmSignature(ak, "n", good), Not(IsOk()));
  EXPECT_THAT(VerifyTpmSignature(ak, "m", Hex("0016000b") + WireSized(raw)),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("not of the key's")));
  EXPECT_THAT(VerifyTpmSignature(ak, "m", Hex("0014000c") + WireSized(raw)),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("not of the key's")));
  EXPECT_THAT(VerifyTpmSignature(ak, "m", good + "x"), Not(IsOk()));
  EXPECT_THAT(VerifyTpmSignature(ak, "m", good.substr(0, 100)), Not(IsOk()));
  EXPECT_THAT(VerifyTpmSignature(ak, "m", ""), Not(IsOk()));
  EXPECT_THAT(VerifyTpmSignature(Parse(EccDevId()), "m", good),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("RSASSA")));
}

TEST(MakeCredentialTest, HasTheSizesThatTheWireWants) {
  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kRsa2048).value();
  const PublicArea ek = AreaOf(*key, Ek());
  const absl::StatusOr<Credential> made = MakeCredential(ek, "name", std::string(32, 's'));
  ASSERT_OK(made);
  EXPECT_EQ(made->credential.size(), 68);
  EXPECT_EQ(made->encrypted_secret.size(), 256);
  EXPECT_THAT(MakeCredential(ek, "name", ""), Not(IsOk()));
  EXPECT_THAT(MakeCredential(ek, "name", std::string(33, 's')), Not(IsOk()));
  EXPECT_THAT(MakeCredential(AreaOf(*key, Ak()), "name", "s"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("template")));
}

TEST(TemplateTest, AcceptsTheEndorsementTemplateAndNothingElse) {
  EXPECT_OK(CheckEkTemplate(Parse(Ek())));
  for (const std::string& other :
       {Rsa("000300f2", kPolicy, "000600800043", "0010"),
        Rsa("000300b2", "", "000600800043", "0010"),
        Rsa("000300b2", kPolicy, "000601000043", "0010"), Rsa("000300b2", kPolicy, "0010", "0010"),
        Rsa("000300b2", kPolicy, "000600800043", "0014000b"), EccDevId()}) {
    EXPECT_THAT(CheckEkTemplate(Parse(other)), Not(IsOk()));
  }
  std::string exponent = Ek();
  exponent.replace(exponent.size() - 262, 4, Hex("00010001"));
  EXPECT_THAT(CheckEkTemplate(Parse(exponent)), Not(IsOk()));
}

TEST(TemplateTest, AcceptsRestrictedSigningKeysForAttestation) {
  EXPECT_OK(CheckAkTemplate(Parse(Ak())));
  EXPECT_OK(CheckAkTemplate(Parse(Ak("00050472"))));  // noDA
  // Without restricted, sign, fixedTPM, fixedParent, sensitiveDataOrigin; with decrypt.
  for (const char* attributes :
       {"00040072", "00010072", "00050070", "00050062", "00050052", "00070072"}) {
    EXPECT_THAT(CheckAkTemplate(Parse(Ak(attributes))),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("attestation key")))
        << attributes;
  }
  for (const char* scheme : {"0010", "0016000b", "00140004"}) {
    EXPECT_THAT(CheckAkTemplate(Parse(Rsa("00050072", "", "0010", scheme))), Not(IsOk())) << scheme;
  }
  EXPECT_THAT(CheckAkTemplate(Parse(EccDevId("00050072"))), Not(IsOk()));
  std::string other_name = Ak();
  other_name.replace(2, 2, Hex("000c"));
  EXPECT_THAT(CheckAkTemplate(Parse(other_name)), Not(IsOk()));
}

TEST(TemplateTest, AcceptsUnrestrictedSigningKeysForDevIds) {
  EXPECT_OK(CheckDevIdTemplate(Parse(EccDevId())));
  EXPECT_OK(CheckDevIdTemplate(Parse(EccDevId("00040472"))));
  EXPECT_OK(CheckDevIdTemplate(Parse(Ak("00040072"))));
  for (const char* attributes :
       {"00050072", "00000072", "00040070", "00040062", "00040052", "00060072"}) {
    EXPECT_THAT(CheckDevIdTemplate(Parse(EccDevId(attributes))),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("DevID key")))
        << attributes;
  }
}

}  // namespace
}  // namespace assay::tpm
