// SPDX-License-Identifier: GPL-3.0-or-later
// Against ssh-keygen's keys and certificates.
#include "crypto/ssh_key.h"

#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "crypto/digest.h"
#include "crypto/ssh_certificate.h"
#include "tests/support/openssl_command.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay::crypto {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kKinds[] = {"-t ed25519",      "-t ecdsa -b 256", "-t ecdsa -b 384",
                                  "-t ecdsa -b 521", "-t rsa -b 2048",  "-t rsa -b 2048 -m PEM"};

class SshTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("command -v ssh-keygen >/dev/null") != 0) {
      GTEST_SKIP() << "ssh-keygen is not on the path";
    }
  }
  std::string Path(std::string_view name) const {
    return fmt::format("{}/{}", folder_.path(), name);
  }
  void Keygen(const std::string& arguments) const {
    ASSERT_EQ(std::system(fmt::format("ssh-keygen -q {} >/dev/null 2>&1", arguments).c_str()), 0)
        << arguments;
  }
  absl::StatusOr<std::unique_ptr<SshPrivateKey>> MakeKey(std::string_view name, const char* kind) {
    Keygen(fmt::format("{} -N '' -C comment -f {}", kind, Path(name)));
    return SshPrivateKey::ParsePem(ReadSecretFile(Path(name)).value());
  }
  SshPublicKey Line(std::string_view name) const {
    return SshPublicKey::ParseLine(ReadFile(Path(name)).value()).value();
  }
  // Of key "host", signed by "ca" for node1.example.org.
  SshCertificate Certify(const std::string& arguments) const {
    Keygen(fmt::format("-s {} -I id -n node1.example.org,node1 {} {}", Path("ca"), arguments,
                       Path("host.pub")));
    return SshCertificate::ParseLine(ReadFile(Path("host-cert.pub")).value()).value();
  }

  const TempFolder folder_;
};

TEST_F(SshTest, SignsWithTheKeysThatSshKeygenMakes) {
  int number = 0;
  for (const char* kind : kKinds) {
    const std::string name = fmt::format("key{}", number++);
    const auto key = MakeKey(name, kind);
    ASSERT_OK(key) << kind;
    EXPECT_EQ((*key)->public_key(), Line(name + ".pub")) << kind;
    const SshSignature signature = (*key)->Sign("message").value();
    EXPECT_OK((*key)->public_key().Verify("message", signature)) << kind;
    EXPECT_THAT((*key)->public_key().Verify("massage", signature),
                StatusIs(StatusCode::kPermissionDenied, HasSubstr("not of this key")));
    EXPECT_FALSE((*key)->public_key().Verify("message", {"ssh-dss", signature.blob}).ok());
    EXPECT_FALSE((*key)->public_key().Verify("message", {signature.format, ""}).ok());
  }
}

TEST_F(SshTest, ChecksHostCertificatesOfEachKindOfAuthority) {
  ASSERT_OK(MakeKey("host", "-t ed25519"));
  for (const char* kind : kKinds) {
    std::remove(Path("ca").c_str());
    ASSERT_OK(MakeKey("ca", kind));
    const SshCertificate certificate = Certify("-h -V -1m:+1h");
    EXPECT_EQ(certificate.key(), Line("host.pub"));
    EXPECT_THAT(certificate.principals(), ElementsAre("node1.example.org", "node1"));
    const std::vector<SshPublicKey> authorities = {Line("ca.pub")};
    EXPECT_OK(certificate.CheckHost(authorities, absl::Now())) << kind;
    EXPECT_THAT(certificate.CheckHost({certificate.key()}, absl::Now()),
                StatusIs(StatusCode::kPermissionDenied, HasSubstr("no configured authority")));
    EXPECT_THAT(certificate.CheckHost(authorities, absl::Now() + absl::Hours(2)),
                StatusIs(StatusCode::kPermissionDenied, HasSubstr("expired")));
    EXPECT_THAT(certificate.CheckHost(authorities, absl::Now() - absl::Hours(2)),
                StatusIs(StatusCode::kPermissionDenied, HasSubstr("not yet valid")));
  }
}

TEST_F(SshTest, RefusesACertificateOfAUserOrWithCriticalOptions) {
  ASSERT_OK(MakeKey("host", "-t ecdsa -b 256"));
  ASSERT_OK(MakeKey("ca", "-t ed25519"));
  const std::vector<SshPublicKey> authorities = {Line("ca.pub")};
  EXPECT_THAT(Certify("").CheckHost(authorities, absl::Now()),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("not for a host")));
  EXPECT_THAT(Certify("-h -O critical:other=1").CheckHost(authorities, absl::Now()),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("critical option \"other\"")));
}

TEST_F(SshTest, RefusesACertificateWithAnyByteChanged) {
  ASSERT_OK(MakeKey("host", "-t ed25519"));
  ASSERT_OK(MakeKey("ca", "-t ed25519"));
  const SshCertificate certificate = Certify("-h");
  for (size_t i = 0; i < certificate.blob().size(); ++i) {
    std::string changed = certificate.blob();
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const auto parsed = SshCertificate::Parse(changed);
    EXPECT_FALSE(parsed.ok() && parsed->CheckHost({Line("ca.pub")}, absl::Now()).ok()) << i;
    EXPECT_FALSE(SshCertificate::Parse(certificate.blob().substr(0, i)).ok()) << i;
  }
  EXPECT_FALSE(SshCertificate::Parse(certificate.blob() + "x").ok());
}

TEST_F(SshTest, SaysThatAKeyIsUnderAPassphrase) {
  Keygen(fmt::format("-t ed25519 -N secret -f {}", Path("key")));
  EXPECT_THAT(SshPrivateKey::ParsePem(ReadSecretFile(Path("key")).value()),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("ssh-keygen -p")));
}

// Stock agents sign so with RSA host keys.
TEST_F(SshTest, AcceptsSha1OnlyOfFreshMessages) {
  SKIP_WITHOUT_OPENSSL();
  ASSERT_OK(MakeKey("key", "-t rsa -b 2048 -m PEM"));
  ASSERT_OK(WriteFileAtomically(Path("text"), "message", 0600));
  ASSERT_EQ(RunOpenssl(fmt::format("dgst -sha1 -sign {} -out {} {}", Path("key"), Path("sig"),
                                   Path("text")))
                .exit_code,
            0);
  const SshSignature signature = {"ssh-rsa", ReadFile(Path("sig")).value()};
  EXPECT_OK(Line("key.pub").VerifyFresh("message", signature));
  EXPECT_FALSE(Line("key.pub").VerifyFresh("massage", signature).ok());
  EXPECT_THAT(Line("key.pub").Verify("message", signature),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("SHA-1")));
}

TEST(SshLineTest, RefusesWhatIsNoKey) {
  constexpr std::string_view kNoKey = "no line of an SSH public key";
  constexpr std::string_view kNoCertificate = "no line of an SSH certificate";
  struct {
    std::string_view line, as_key, as_certificate;
  } const cases[] = {{"", kNoKey, kNoCertificate},
                     {"\n# ssh-ed25519 AAAA\n", kNoKey, kNoCertificate},
                     {"ssh-ed25519", kNoKey, kNoCertificate},
                     {"ssh-ed25519 ", kNoKey, kNoCertificate},
                     {"ssh-ed25519 ?", kNoKey, kNoCertificate},
                     {"AAAA", kNoKey, kNoCertificate},
                     {"ssh-ed25519 AAAAB3NzaC1yc2E=", "RSA exponent is cut off",
                      "\"ssh-rsa\" is not a certificate"},
                     {"ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAAA==", "Ed25519 key has 0 bytes",
                      "\"ssh-ed25519\" is not a certificate"}};
  for (const auto& [line, as_key, as_certificate] : cases) {
    EXPECT_THAT(SshPublicKey::ParseLine(line),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(as_key)))
        << line;
    EXPECT_THAT(SshCertificate::ParseLine(line),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(as_certificate)))
        << line;
  }
}

TEST(SshLineTest, AcceptsBlanksAndComments) {
  const auto key = PrivateKey::Generate(KeyType::kEcP256).value();
  const SshPublicKey wanted = SshPublicKey::FromKey(key->public_key()).value();
  const std::string line = wanted.type() + " " + Base64Encode(wanted.blob());
  for (const std::string& text :
       {line, line + " me@host at home\r\n", " \t" + line, "# first\n\n  # second\n" + line + "\n",
        wanted.type() + "\t  " + Base64Encode(wanted.blob()) + "\tme", line + "\nssh-rsa ?\n"}) {
    const auto parsed = SshPublicKey::ParseLine(text);
    ASSERT_OK(parsed) << text;
    EXPECT_EQ(*parsed, wanted);
  }
}

}  // namespace
}  // namespace assay::crypto
