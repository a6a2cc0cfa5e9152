// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/tpm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/files.h"
#include "base/unique_fd.h"
#include "tests/support/software_tpm.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tpm/structures.h"

namespace assay::tpm {
namespace {

using absl::StatusCode;
using crypto::KeyType;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::unique_ptr<Tpm> Open(const SoftwareTpm& software) {
  return Tpm::Open({.device = software.socket()}).value();
}

Passwords WithPassword(std::string_view devid) {
  Passwords passwords;
  passwords.devid = Secret(devid);
  return passwords;
}

// A DevID key as other provisioning tools make it: under dictionary-attack protection.
KeyBlobs MakeProtectedDevId(const SoftwareTpm& software, const std::string& password) {
  software.Run(
      "tpm2_createprimary -Q -C o -g sha256 -G ecc_nist_p256:null:aes128cfb -c srk.ctx "
      "-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt' && "
      "tpm2_flushcontext -t && "
      "tpm2_create -Q -C srk.ctx -g sha256 -G ecc_nist_p256:ecdsa-sha256:null -p " +
      password +
      " -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign' -u p -r r && "
      "tpm2_flushcontext -t");
  return {.public_area = software.Run("tail -c +3 p"),
          .private_area = software.Run("tail -c +3 r")};
}

std::string DigestOf(std::string_view text) { return crypto::Digest(crypto::Hash::kSha256, text); }

class TpmKeyTest : public testing::TestWithParam<std::tuple<KeyType, std::string>> {};

TEST_P(TpmKeyTest, AttestsAndSignsWithItsDevId) {
  ASSAY_SOFTWARE_TPM(software);
  const auto [type, password] = GetParam();
  const Passwords passwords = WithPassword(password);
  const std::unique_ptr<Tpm> tpm = Open(*software);
  const absl::StatusOr<KeyBlobs> devid = tpm->CreateDevId(type, passwords);
  ASSERT_OK(devid);
  const absl::StatusOr<KeyBlobs> ak = tpm->CreateAk(passwords);
  ASSERT_OK(ak);
  const absl::StatusOr<DevIdEvidence> evidence = tpm->AttestDevId(*devid, *ak, passwords);
  ASSERT_OK(evidence);
  EXPECT_EQ(evidence->devid_public.size(), type == KeyType::kRsa2048 ? 280 : 88);
  EXPECT_EQ(evidence->ek_public.size(), 314);
  EXPECT_EQ(evidence->ak_public.size(), 280);
  EXPECT_EQ(evidence->certify_signature.size(), 262);

  const PublicArea area = PublicArea::Parse(devid->public_area).value();
  EXPECT_OK(CheckDevIdTemplate(area));
  EXPECT_TRUE(area.attributes & kNoDa);
  const PublicArea ek = PublicArea::Parse(evidence->ek_public).value();
  const PublicArea attestor = PublicArea::Parse(evidence->ak_public).value();
  EXPECT_OK(CheckEkTemplate(ek));
  EXPECT_OK(CheckAkTemplate(attestor));
  EXPECT_OK(VerifyTpmSignature(attestor, evidence->certified_devid, evidence->certify_signature));
  EXPECT_EQ(CertifyInfo::Parse(evidence->certified_devid)->certified_name, area.Name().value());

  const Credential credential = MakeCredential(ek, attestor.Name().value(), "a secret").value();
  const absl::StatusOr<std::string> activated =
      tpm->ActivateCredential(*ak, credential.credential, credential.encrypted_secret, passwords);
  ASSERT_OK(activated);
  EXPECT_EQ(*activated, "a secret");

  const auto signer = MakeDevIdSigner(*tpm, *devid, WithPassword(password)).value();
  const crypto::SignatureScheme scheme = signer->public_key().DefaultScheme();
  const absl::StatusOr<std::string> signature = Sign(*signer, scheme, "message");
  ASSERT_OK(signature);
  EXPECT_OK(signer->public_key().Verify(scheme, "message", *signature));
}

INSTANTIATE_TEST_SUITE_P(KeysAndPasswords, TpmKeyTest,
                         testing::Combine(testing::Values(KeyType::kEcP256, KeyType::kRsa2048),
                                          testing::Values("", "hunter2")));

TEST(TpmTest, TellsHowLongEachOperationTook) {
  ASSAY_SOFTWARE_TPM(software);
  const auto told = std::make_shared<std::vector<std::string>>();
  const auto tpm = Tpm::Open({.device = software->socket(),
                              .observe = [told](std::string_view operation,
                                                const absl::Status& status, absl::Duration time) {
                                EXPECT_GE(time, absl::ZeroDuration());
                                told->push_back(fmt::format("{} {}", operation, status.ok()));
                              }});
  ASSERT_OK(tpm);
  const auto key = (*tpm)->CreateKey(KeyType::kEcP256, {});
  ASSERT_OK(key);
  EXPECT_FALSE((*tpm)->CheckKey({.public_area = "x", .private_area = "y"}, {}).ok());
  EXPECT_THAT(*told, testing::ElementsAre("open true", "create_key true", "check_key false"));
}

TEST(TpmTest, UsesTheHierarchyPasswordsItIsGiven) {
  ASSAY_SOFTWARE_TPM(software);
  software->Run("tpm2_changeauth -c owner owner-pw && tpm2_changeauth -c endorsement ek-pw");
  const std::unique_ptr<Tpm> tpm = Open(*software);
  Passwords passwords = WithPassword("devid-pw");
  EXPECT_THAT(tpm->CreateAk(passwords),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("owner hierarchy")));
  passwords.owner = Secret("owner-pw");
  const KeyBlobs devid = tpm->CreateDevId(KeyType::kEcP256, passwords).value();
  const KeyBlobs ak = tpm->CreateAk(passwords).value();
  EXPECT_THAT(tpm->AttestDevId(devid, ak, passwords),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("endorsement hierarchy")));
  passwords.endorsement = Secret("ek-pw");
  const DevIdEvidence evidence = tpm->AttestDevId(devid, ak, passwords).value();
  const Credential credential =
      MakeCredential(PublicArea::Parse(evidence.ek_public).value(),
                     PublicArea::Parse(evidence.ak_public)->Name().value(), "secret")
          .value();
  EXPECT_OK(
      tpm->ActivateCredential(ak, credential.credential, credential.encrypted_secret, passwords));
}

TEST(TpmTest, TriesAWrongPasswordOnceAndNeverAgain) {
  ASSAY_SOFTWARE_TPM(software);
  const KeyBlobs devid = MakeProtectedDevId(*software, "right");
  const std::unique_ptr<Tpm> tpm = Open(*software);
  ASSERT_OK(tpm->SignWithDevId(devid, DigestOf("x"), WithPassword("right")));
  EXPECT_EQ(software->LockoutCounter(), 0);
  EXPECT_THAT(tpm->SignWithDevId(devid, DigestOf("x"), WithPassword("wrong")),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("password of the DevID key")));
  EXPECT_EQ(software->LockoutCounter(), 1);
  const KeyBlobs ak = tpm->CreateAk({}).value();
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(tpm->SignWithDevId(devid, DigestOf("x"), WithPassword("wrong")),
                StatusIs(StatusCode::kPermissionDenied, HasSubstr("not asked again")));
    EXPECT_THAT(tpm->AttestDevId(devid, ak, WithPassword("wrong")),
                StatusIs(StatusCode::kPermissionDenied, HasSubstr("not asked again")));
  }
  EXPECT_EQ(software->LockoutCounter(), 1);
  EXPECT_OK(tpm->SignWithDevId(devid, DigestOf("x"), WithPassword("right")));
}

TEST(TpmTest, AWrongPasswordIsKnownToLaterProcesses) {
  ASSAY_SOFTWARE_TPM(software);
  const TempFolder folder;
  const std::string path = folder.path() + "/data/refused";
  const KeyBlobs devid = MakeProtectedDevId(*software, "right");
  for (const char* words : {"wrong password", path.c_str(), path.c_str()}) {
    const auto tpm =
        Tpm::Open({.device = software->socket(), .refused_passwords_path = path}).value();
    EXPECT_THAT(tpm->SignWithDevId(devid, DigestOf("x"), WithPassword("wrong")),
                StatusIs(StatusCode::kPermissionDenied, HasSubstr(words)));
    EXPECT_OK(tpm->SignWithDevId(devid, DigestOf("x"), WithPassword("right")));
  }
  EXPECT_EQ(software->LockoutCounter(), 1);
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0600));
  EXPECT_EQ(ReadFile(path)->find("wrong"), std::string::npos);
  ASSERT_OK(WriteFileAtomically(path, "damaged", 0600));
  EXPECT_OK(Tpm::Open({.device = software->socket(), .refused_passwords_path = path}));
}

TEST(TpmTest, ATpmThatDoesNotAnswerIsGivenUp) {
  const TempFolder folder;
  const std::string path = folder.path() + "/silent";
  std::vector<UniqueFd> sockets;
  for (const std::string& name : {path, path + ".ctrl"}) {
    sockets.emplace_back(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(bind(sockets.back().get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)),
              0);
    ASSERT_EQ(listen(sockets.back().get(), 4), 0);
  }
  EXPECT_THAT(Tpm::Open({.device = path, .patience = absl::Milliseconds(50)}),
              StatusIs(StatusCode::kUnavailable, HasSubstr("does not answer")));
}

TEST(TpmTest, SaysThatTheTpmIsLockedOutAndHowToEndIt) {
  ASSAY_SOFTWARE_TPM(software);
  const KeyBlobs devid = MakeProtectedDevId(*software, "right");
  software->Run("tpm2_dictionarylockout -s -n 1 -t 1000 -l 1000");
  const std::unique_ptr<Tpm> tpm = Open(*software);
  EXPECT_THAT(tpm->SignWithDevId(devid, DigestOf("x"), WithPassword("wrong")),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("wrong password")));
  EXPECT_THAT(tpm->SignWithDevId(devid, DigestOf("x"), WithPassword("right")),
              StatusIs(StatusCode::kResourceExhausted, HasSubstr("tpm2_dictionarylockout -c")));
  software->Run("tpm2_dictionarylockout -c");
  EXPECT_OK(tpm->SignWithDevId(devid, DigestOf("x"), WithPassword("right")));
}

TEST(TpmTest, CrashesOfTheTpmDoNotCountAgainstItsOwnKeys) {
  ASSAY_SOFTWARE_TPM(software);
  const std::unique_ptr<Tpm> tpm = Open(*software);
  const Passwords passwords = WithPassword("pw");
  const KeyBlobs devid = tpm->CreateDevId(KeyType::kEcP256, passwords).value();
  for (int i = 0; i < 4; ++i) {
    ASSERT_OK(tpm->SignWithDevId(devid, DigestOf("x"), passwords));
    software->Restart();
  }
  EXPECT_OK(tpm->SignWithDevId(devid, DigestOf("x"), passwords));
  EXPECT_EQ(software->LockoutCounter(), 0);
}

TEST(TpmTest, RefusesTheBlobsOfAnotherTpm) {
  ASSAY_SOFTWARE_TPM(software);
  ASSAY_SOFTWARE_TPM(unrelated);
  // Copies of one state share their seeds.
  unrelated->Run("tpm2_clear -Q -c p");
  const std::unique_ptr<Tpm> tpm = Open(*software);
  const std::unique_ptr<Tpm> other = Open(*unrelated);
  for (const KeyType type : {KeyType::kEcP256, KeyType::kRsa2048}) {
    const KeyBlobs foreign = other->CreateDevId(type, {}).value();
    const KeyBlobs ak = tpm->CreateAk({}).value();
    EXPECT_THAT(tpm->AttestDevId(foreign, ak, {}),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr("of another TPM")));
    EXPECT_THAT(tpm->SignWithDevId(foreign, DigestOf("x"), {}),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr("of another TPM")));
  }
  const KeyBlobs devid = tpm->CreateDevId(KeyType::kEcP256, {}).value();
  EXPECT_THAT(tpm->AttestDevId(devid, other->CreateAk({}).value(), {}),
              StatusIs(StatusCode::kAborted, HasSubstr("the attestation key")));
}

TEST(TpmTest, SaysThatTheTpmWasCleared) {
  ASSAY_SOFTWARE_TPM(software);
  const std::unique_ptr<Tpm> tpm = Open(*software);
  const KeyBlobs devid = tpm->CreateDevId(KeyType::kEcP256, {}).value();
  const KeyBlobs ak = tpm->CreateAk({}).value();
  ASSERT_OK(tpm->AttestDevId(devid, ak, {}));
  software->Run("tpm2_clear -Q -c p");
  EXPECT_THAT(tpm->AttestDevId(devid, ak, {}),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("cleared")));
  EXPECT_THAT(tpm->ActivateCredential(ak, std::string(68, 'x'), std::string(256, 'x'), {}),
              StatusIs(StatusCode::kAborted, HasSubstr("cleared")));
  EXPECT_OK(tpm->CreateDevId(KeyType::kEcP256, {}));
}

TEST(TpmTest, RefusesBlobsThatAreNoKey) {
  ASSAY_SOFTWARE_TPM(software);
  const std::unique_ptr<Tpm> tpm = Open(*software);
  const KeyBlobs good = tpm->CreateDevId(KeyType::kEcP256, {}).value();
  const auto sign = [&](const KeyBlobs& blobs) {
    return tpm->SignWithDevId(blobs, DigestOf("x"), {});
  };
  const std::string prefixed = std::string("\0\x58", 2) + good.public_area;
  EXPECT_THAT(sign({.public_area = prefixed, .private_area = good.private_area}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("cut off its first two bytes")));
  EXPECT_THAT(sign({.public_area = "", .private_area = good.private_area}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("public blob of the DevID key")));
  EXPECT_THAT(sign({.public_area = good.public_area, .private_area = ""}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("private blob")));
  EXPECT_THAT(sign({.public_area = good.public_area, .private_area = std::string(9999, 'x')}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("9999 bytes")));
  KeyBlobs flipped = good;
  flipped.private_area[40] ^= 1;
  EXPECT_THAT(sign(flipped), StatusIs(StatusCode::kFailedPrecondition, HasSubstr("refuses")));
}

TEST(TpmTest, SaysThatThereIsNoEndorsementCertificate) {
  ASSAY_SOFTWARE_TPM(software);
  const std::unique_ptr<Tpm> tpm = Open(*software);
  const KeyBlobs devid = tpm->CreateDevId(KeyType::kEcP256, {}).value();
  const KeyBlobs ak = tpm->CreateAk({}).value();
  software->Run("tpm2_nvundefine -C p 0x01c00002");
  EXPECT_THAT(tpm->AttestDevId(devid, ak, {}),
              StatusIs(StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("no endorsement certificate"), HasSubstr("0x01c00002"))));
}

TEST(TpmTest, CutsThePaddingAfterTheEndorsementCertificate) {
  ASSAY_SOFTWARE_TPM(software);
  const std::unique_ptr<Tpm> tpm = Open(*software);
  const KeyBlobs devid = tpm->CreateDevId(KeyType::kEcP256, {}).value();
  const KeyBlobs ak = tpm->CreateAk({}).value();
  const std::string certificate = tpm->AttestDevId(devid, ak, {})->ek_certificate;
  // Larger than the TPM reads at once, too.
  software->Run(
      "tpm2_nvread -C o 0x01c00002 -o ek.der && head -c 500 /dev/zero | tr '\\0' '\\377' >> ek.der "
      "&& tpm2_nvundefine -C p 0x01c00002 && tpm2_nvdefine -Q -C p 0x01c00002 -s $(stat -c %s "
      "ek.der) -a 'ppwrite|ppread|ownerread|authread|no_da|platformcreate' && "
      "tpm2_nvwrite -Q -C p 0x01c00002 -i ek.der");
  const absl::StatusOr<DevIdEvidence> evidence = tpm->AttestDevId(devid, ak, {});
  ASSERT_OK(evidence);
  EXPECT_EQ(evidence->ek_certificate, certificate);
}

TEST(TpmTest, SaysThatTheEndorsementCertificateIsDamaged) {
  ASSAY_SOFTWARE_TPM(software);
  const std::unique_ptr<Tpm> tpm = Open(*software);
  const KeyBlobs devid = tpm->CreateDevId(KeyType::kEcP256, {}).value();
  const KeyBlobs ak = tpm->CreateAk({}).value();
  software->Run(
      "tpm2_nvundefine -C p 0x01c00002 && tpm2_nvdefine -Q -C p 0x01c00002 -s 64 -a "
      "'ppwrite|ppread|ownerread|authread|no_da|platformcreate' && "
      "head -c 64 /dev/zero | tr '\\0' '\\377' | tpm2_nvwrite -Q -C p 0x01c00002 -i -");
  EXPECT_THAT(tpm->AttestDevId(devid, ak, {}),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("damaged")));
}

TEST(TpmTest, RefusesACredentialForAnotherKey) {
  ASSAY_SOFTWARE_TPM(software);
  const std::unique_ptr<Tpm> tpm = Open(*software);
  const KeyBlobs devid = tpm->CreateDevId(KeyType::kEcP256, {}).value();
  const KeyBlobs ak = tpm->CreateAk({}).value();
  const PublicArea ek = PublicArea::Parse(tpm->AttestDevId(devid, ak, {})->ek_public).value();
  const std::string devid_name = PublicArea::Parse(devid.public_area)->Name().value();
  const Credential credential = MakeCredential(ek, devid_name, "secret").value();
  EXPECT_THAT(tpm->ActivateCredential(ak, credential.credential, credential.encrypted_secret, {}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("not made for this TPM")));
  std::string flipped = credential.encrypted_secret;
  flipped[100] ^= 1;
  EXPECT_THAT(tpm->ActivateCredential(ak, credential.credential, flipped, {}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("not made for this TPM")));
  EXPECT_THAT(tpm->ActivateCredential(ak, std::string(5000, 'x'), flipped, {}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("too large")));
}

TEST(TpmTest, LeavesNothingLoadedAfterFiftyAttestations) {
  ASSAY_SOFTWARE_TPM(software);
  const std::unique_ptr<Tpm> tpm = Open(*software);
  const KeyBlobs devid = tpm->CreateDevId(KeyType::kEcP256, {}).value();
  const KeyBlobs ak = tpm->CreateAk({}).value();
  KeyBlobs flipped = devid;
  flipped.private_area[40] ^= 1;
  for (int i = 0; i < 50; ++i) {
    ASSERT_OK(tpm->AttestDevId(devid, ak, {}));
    ASSERT_OK(tpm->SignWithDevId(devid, DigestOf("x"), {}));
    ASSERT_FALSE(tpm->AttestDevId(devid, flipped, {}).ok());
    ASSERT_FALSE(tpm->ActivateCredential(ak, "x", "x", {}).ok());
  }
  EXPECT_EQ(software->CountHandles("handles-transient"), 0);
  EXPECT_EQ(software->CountHandles("handles-loaded-session"), 0);
  EXPECT_EQ(software->CountHandles("handles-saved-session"), 0);
}

TEST(TpmTest, FlushesWhatACrashedProcessLeftInAllSlots) {
  ASSAY_SOFTWARE_TPM(software);
  for (int i = 0; i < 3; ++i) {
    software->Run("tpm2_createprimary -Q -C o -G ecc");
    software->Run("tpm2_startauthsession --policy-session -S s" + std::to_string(i));
  }
  ASSERT_EQ(software->CountHandles("handles-transient"), 3);
  const std::unique_ptr<Tpm> tpm = Open(*software);
  EXPECT_OK(tpm->CreateAk({}));
  EXPECT_EQ(software->CountHandles("handles-transient"), 0);
}

TEST(TpmTest, SaysThatTheTpmDiedAndGoesOnWhenItIsBack) {
  ASSAY_SOFTWARE_TPM(software);
  const std::unique_ptr<Tpm> tpm = Open(*software);
  const KeyBlobs devid = tpm->CreateDevId(KeyType::kEcP256, {}).value();
  const KeyBlobs ak = tpm->CreateAk({}).value();
  software->Stop();
  EXPECT_THAT(tpm->AttestDevId(devid, ak, {}), StatusIs(StatusCode::kUnavailable, testing::_));
  EXPECT_THAT(tpm->SignWithDevId(devid, DigestOf("x"), {}),
              StatusIs(StatusCode::kUnavailable, testing::_));
  software->Restart();
  EXPECT_OK(tpm->AttestDevId(devid, ak, {}));
}

TEST(TpmTest, SurvivesATpmThatDiesInTheMiddleOfAnything) {
  signal(SIGPIPE,
         SIG_IGN);  // As every role does: tpm2-tss writes to a TPM's socket without a care.
  ASSAY_SOFTWARE_TPM(software);
  const std::unique_ptr<Tpm> tpm = Open(*software);
  const KeyBlobs devid = tpm->CreateDevId(KeyType::kEcP256, {}).value();
  const KeyBlobs ak = tpm->CreateAk({}).value();
  for (int round = 0; round < 8; ++round) {
    std::thread killer([&] { software->Stop(); });
    while (tpm->AttestDevId(devid, ak, {}).ok()) {
    }
    killer.join();
    software->Restart();
    ASSERT_OK(tpm->AttestDevId(devid, ak, {})) << round;
  }
}

TEST(TpmTest, LetsNoSecretCrossTheBusInTheClear) {
  ASSAY_SOFTWARE_TPM(software);
  software->Run("tpm2_changeauth -c owner owner-password");
  const TempFolder folder;
  const std::string recording = folder.path() + "/bus.pcap";
  setenv("TCTI_PCAP_FILE", recording.c_str(), 1);
  const auto tpm = Tpm::Open({.device = "pcap:swtpm:path=" + software->socket()}).value();
  Passwords passwords = WithPassword("devid-password");
  passwords.owner = Secret("owner-password");
  const KeyBlobs devid = tpm->CreateDevId(KeyType::kEcP256, passwords).value();
  const KeyBlobs ak = tpm->CreateAk(passwords).value();
  const DevIdEvidence evidence = tpm->AttestDevId(devid, ak, passwords).value();
  const Credential credential =
      MakeCredential(PublicArea::Parse(evidence.ek_public).value(),
                     PublicArea::Parse(evidence.ak_public)->Name().value(), "activated-secret")
          .value();
  ASSERT_EQ(
      tpm->ActivateCredential(ak, credential.credential, credential.encrypted_secret, passwords)
          .value(),
      "activated-secret");
  ASSERT_OK(tpm->SignWithDevId(devid, DigestOf("x"), passwords));
  const std::string bus = ReadFile(recording).value();
  EXPECT_THAT(bus, HasSubstr(devid.public_area));  // It is the bus indeed.
  for (const char* secret : {"owner-password", "devid-password", "activated-secret"}) {
    EXPECT_THAT(bus, Not(HasSubstr(secret)));
  }
}

TEST(TpmTest, ServesManyThreadsAtOnce) {
  ASSAY_SOFTWARE_TPM(software);
  const std::unique_ptr<Tpm> tpm = Open(*software);
  const KeyBlobs devid = tpm->CreateDevId(KeyType::kEcP256, {}).value();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 10; ++j) {
        EXPECT_OK(tpm->SignWithDevId(devid, DigestOf("x"), {}));
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

TEST(TpmTest, SaysThatADeviceIsAbsentOrNoTpm) {
  EXPECT_THAT(Tpm::Open({.device = "/nonexistent/tpm0"}),
              StatusIs(StatusCode::kNotFound, HasSubstr("/nonexistent/tpm0")));
  EXPECT_THAT(Tpm::Open({.device = "/etc/passwd"}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("neither")));
  EXPECT_THAT(Tpm::Open({.device = "swtpm:path=/nonexistent/sock"}),
              StatusIs(StatusCode::kUnavailable, HasSubstr("cannot talk to the TPM")));
}

TEST(TpmTest, SaysThatTheControlSocketIsMissingOrNobodyListens) {
  ASSAY_SOFTWARE_TPM(software);
  software->Stop();
  EXPECT_THAT(Tpm::Open({.device = software->socket()}),
              StatusIs(StatusCode::kUnavailable, HasSubstr("cannot talk to the TPM")));
  std::filesystem::remove(software->socket() + ".ctrl");
  EXPECT_THAT(Tpm::Open({.device = software->socket()}),
              StatusIs(StatusCode::kNotFound, HasSubstr("control socket")));
}

}  // namespace
}  // namespace assay::tpm
