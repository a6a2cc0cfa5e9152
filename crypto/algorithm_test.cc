// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/algorithm.h"

#include <gtest/gtest.h>

#include "crypto/certificate.h"
#include "crypto/der_writer.h"
#include "tests/support/openssl_command.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay::crypto {
namespace {

using absl::StatusCode;
using testing::HasSubstr;
using Kind = SignatureScheme::Kind;

TEST(AlgorithmTest, SchemesGoBothWays) {
  for (Kind kind : {Kind::kEcdsa, Kind::kRsaPkcs1, Kind::kRsaPss}) {
    for (Hash hash : {Hash::kSha256, Hash::kSha384, Hash::kSha512}) {
      const SignatureScheme scheme = {kind, hash};
      EXPECT_EQ(ParseSignatureAlgorithm(SignatureAlgorithm(scheme).value()).value(), scheme);
    }
    EXPECT_THAT(SignatureAlgorithm({kind, Hash::kSha1}),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("SHA-1")));
  }
}

TEST(AlgorithmTest, SaysWhichAlgorithmIsNotSupported) {
  const std::string sha1_rsa = DerSequence({DerObjectId("1.2.840.113549.1.1.5"), DerNullValue()});
  EXPECT_THAT(ParseSignatureAlgorithm(sha1_rsa),
              StatusIs(StatusCode::kNotFound, HasSubstr("1.2.840.113549.1.1.5")));
  const std::string ed25519 = DerSequence({DerObjectId("1.3.101.112")});
  EXPECT_THAT(ParseSignatureAlgorithm(ed25519),
              StatusIs(StatusCode::kNotFound, HasSubstr("1.3.101.112")));
  // PSS without parameters is PSS with SHA-1.
  for (const std::string& parameters : {std::string(), DerSequence({}), DerNullValue()}) {
    const std::string pss = DerSequence({DerObjectId("1.2.840.113549.1.1.10"), parameters});
    EXPECT_THAT(ParseSignatureAlgorithm(pss), StatusIs(StatusCode::kNotFound, HasSubstr("PSS")));
  }
}

TEST(AlgorithmTest, RefusesParametersThatDoNotBelong) {
  const std::string ecdsa = DerObjectId("1.2.840.10045.4.3.2");
  const std::string rsa = DerObjectId("1.2.840.113549.1.1.11");
  EXPECT_OK(ParseSignatureAlgorithm(DerSequence({rsa})));
  for (const std::string& bad :
       {DerSequence({ecdsa, DerNullValue()}), DerSequence({rsa, DerSequence({})}),
        DerSequence({rsa, DerNullValue(), DerNullValue()}), DerSequence({}),
        DerSequence({ecdsa}) + "x", std::string()}) {
    EXPECT_THAT(ParseSignatureAlgorithm(bad),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("signature algorithm")));
  }
}

// Self-signed by openssl with these arguments.
Certificate MadeByOpenssl(const std::string& arguments) {
  const TempFolder folder;
  const CommandResult made =
      RunOpenssl("req -x509 -nodes -subj /CN=x -days 1 -keyout " + folder.path() + "/key.pem " +
                 arguments + " 2>" + folder.path() + "/log");
  EXPECT_EQ(made.exit_code, 0) << made.output;
  return Certificate::ParsePem(made.output).value().at(0);
}

TEST(AlgorithmTest, VerifiesWhatOpensslSigns) {
  SKIP_WITHOUT_OPENSSL();
  for (const char* arguments : {
           "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -sha256",
           "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -sha512",
           "-newkey ec -pkeyopt ec_paramgen_curve:P-384 -sha384",
           "-newkey ec -pkeyopt ec_paramgen_curve:P-521 -sha512",
           "-newkey ec -pkeyopt ec_paramgen_curve:P-521 -sha256",
           "-newkey rsa:2048 -sha256",
           "-newkey rsa:2048 -sha384",
           "-newkey rsa:2048 -sha512",
           "-newkey rsa:2048 -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32",
           "-newkey rsa:2048 -sha384 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:48",
           "-newkey rsa:2048 -sha512 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:64",
       }) {
    const Certificate certificate = MadeByOpenssl(arguments);
    EXPECT_OK(certificate.VerifySignedBy(certificate.public_key())) << arguments;
  }
}

TEST(AlgorithmTest, RefusesWhatOpensslSignsInWaysWeDoNotAccept) {
  SKIP_WITHOUT_OPENSSL();
  for (const char* arguments : {
           "-newkey rsa:2048 -sha1",
           "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -sha1",
           "-newkey rsa:2048 -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:20",
           "-newkey rsa:2048 -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_mgf1_md:sha1",
       }) {
    const Certificate certificate = MadeByOpenssl(arguments);
    EXPECT_THAT(certificate.VerifySignedBy(certificate.public_key()),
                StatusIs(StatusCode::kPermissionDenied, HasSubstr("not supported")))
        << arguments;
  }
}

}  // namespace
}  // namespace assay::crypto
