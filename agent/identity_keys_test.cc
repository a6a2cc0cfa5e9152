// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/identity_keys.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "agent/identity_disk.h"
#include "agent/identity_keys_tpm.h"
#include "base/files.h"
#include "tests/support/software_tpm.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_ca.h"

namespace assay {
namespace {

using absl::StatusCode;
using crypto::Hash;
using testing::HasSubstr;
using SharedSigner = std::shared_ptr<const crypto::Signer>;

// What every kind that keeps keys does.
void KeepsTheKeyOfTheSvidThroughCrashes(
    const std::function<std::unique_ptr<AgentKeys>()>& restart) {
  std::unique_ptr<AgentKeys> keys = restart();
  const SharedSigner first = keys->Generate().value();
  const crypto::PublicKey& first_key = first->public_key();
  EXPECT_THAT(keys->Load(first_key), StatusIs(StatusCode::kNotFound, testing::_));
  EXPECT_OK(keys->Keep(first_key));
  EXPECT_OK(keys->Keep(first_key));
  EXPECT_OK(keys->Retain(&first_key));
  // An attestation that failed has no effect on what is kept.
  EXPECT_OK(keys->Generate());
  EXPECT_OK(keys->Keep(first_key));
  EXPECT_OK(keys->Retain(&first_key));

  keys = restart();
  const absl::StatusOr<SharedSigner> loaded = keys->Load(first_key);
  ASSERT_OK(loaded);
  const crypto::SignatureScheme scheme = first_key.DefaultScheme();
  EXPECT_OK(first_key.Verify(scheme, "x", Sign(**loaded, scheme, "x").value()));

  // A crash before the SVID of the second key is on disk, and one after.
  const SharedSigner second = keys->Generate().value();
  EXPECT_OK(keys->Keep(second->public_key()));
  keys = restart();
  EXPECT_OK(keys->Load(second->public_key()));
  EXPECT_OK(keys->Load(first_key));
  const SharedSigner third = keys->Generate().value();
  EXPECT_OK(keys->Keep(third->public_key()));
  keys = restart();
  EXPECT_OK(keys->Load(first_key));
  EXPECT_OK(keys->Load(third->public_key()));
  EXPECT_OK(keys->Retain(&third->public_key()));
  keys = restart();
  EXPECT_THAT(keys->Load(first_key), StatusIs(StatusCode::kNotFound, testing::_));
  EXPECT_OK(keys->Load(third->public_key()));
  EXPECT_OK(keys->Retain(nullptr));
  EXPECT_THAT(restart()->Load(third->public_key()), StatusIs(StatusCode::kNotFound, testing::_));
}

TEST(DiskKeysTest, KeepsTheKeyOfTheSvidThroughCrashes) {
  const TempFolder folder;
  KeepsTheKeyOfTheSvidThroughCrashes([&] { return MakeDiskKeys(folder.path() + "/keys"); });
}

TEST(MemoryKeysTest, KeepsNothing) {
  const auto keys = MakeMemoryKeys();
  const SharedSigner key = keys->Generate().value();
  EXPECT_OK(keys->Keep(key->public_key()));
  EXPECT_THAT(keys->Load(key->public_key()), StatusIs(StatusCode::kNotFound, testing::_));
}

class TpmKeysTest : public testing::Test {
 protected:
  std::unique_ptr<AgentKeys> Make(const SoftwareTpm& software,
                                  crypto::KeyType type = crypto::KeyType::kEcP256) const {
    return MakeTpmKeys(
        {.tpm = std::make_shared<tpm::LazyTpm>(tpm::Tpm::Options{.device = software.socket()}),
         .path = path_,
         .type = type,
         .owner_hierarchy_password = {}});
  }

  const TempFolder folder_;
  const std::string path_ = folder_.path() + "/data/tpm-agent-keys";
};

TEST_F(TpmKeysTest, KeepsTheKeyOfTheSvidThroughCrashes) {
  ASSAY_SOFTWARE_TPM(software);
  KeepsTheKeyOfTheSvidThroughCrashes([&] { return Make(*software); });
  EXPECT_EQ(std::filesystem::status(path_).permissions(), std::filesystem::perms(0600));
}

TEST_F(TpmKeysTest, MakesKeysOfTheTypeThatIsWanted) {
  ASSAY_SOFTWARE_TPM(software);
  EXPECT_EQ(Make(*software)->Generate().value()->public_key().bits(), 256);
  EXPECT_EQ(Make(*software, crypto::KeyType::kEcP384)->Generate().value()->public_key().bits(),
            384);
  EXPECT_TRUE(
      Make(*software, crypto::KeyType::kRsa2048)->Generate().value()->public_key().is_rsa());
}

TEST_F(TpmKeysTest, AKeyOfAClearedTpmIsLostAndAnotherIsMade) {
  ASSAY_SOFTWARE_TPM(software);
  const auto keys = Make(*software);
  const SharedSigner key = keys->Generate().value();
  ASSERT_OK(keys->Keep(key->public_key()));
  software->Run("tpm2_clear -Q -c p");
  EXPECT_THAT(keys->Load(key->public_key()),
              StatusIs(StatusCode::kAborted, HasSubstr("the TPM was cleared")));
  const SharedSigner other = keys->Generate().value();
  EXPECT_OK(keys->Keep(other->public_key()));
  EXPECT_OK(keys->Retain(&other->public_key()));
  EXPECT_OK(Make(*software)->Load(other->public_key()));
}

TEST_F(TpmKeysTest, ADamagedFileIsALostKey) {
  ASSAY_SOFTWARE_TPM(software);
  const auto keys = Make(*software);
  const SharedSigner key = keys->Generate().value();
  ASSERT_OK(keys->Keep(key->public_key()));
  const std::string good = ReadFile(path_).value();
  for (const size_t at : {size_t{1}, good.size() - 20}) {
    std::string flipped = good;
    flipped[at] ^= 1;
    ASSERT_OK(WriteFileAtomically(path_, flipped, 0600));
    EXPECT_THAT(Make(*software)->Load(key->public_key()),
                StatusIs(StatusCode::kAborted, testing::_));
  }
  EXPECT_OK(keys->Keep(keys->Generate().value()->public_key()));
}

TEST_F(TpmKeysTest, ATpmThatIsAwayIsNoLostKey) {
  ASSAY_SOFTWARE_TPM(software);
  const SharedSigner key = [&] {
    const auto keys = Make(*software);
    const crypto::PublicKey made = keys->Generate().value()->public_key();
    EXPECT_OK(keys->Keep(made));
    return keys->Load(made).value();
  }();
  software->Stop();
  EXPECT_THAT(Make(*software)->Load(key->public_key()),
              StatusIs(StatusCode::kUnavailable, testing::_));
  std::filesystem::remove(software->socket());
  std::filesystem::remove(software->socket() + ".ctrl");
  EXPECT_THAT(Make(*software)->Load(key->public_key()),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr(software->socket())));
}

TEST_F(TpmKeysTest, ARefusedPasswordIsTheOperatorsToMend) {
  ASSAY_SOFTWARE_TPM(software);
  software->Run("tpm2_changeauth -c owner pw");
  EXPECT_THAT(Make(*software)->Generate(),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("owner hierarchy")));
}

TEST_F(TpmKeysTest, TheStoredSvidIsTakenUpOnlyWithItsKey) {
  ASSAY_SOFTWARE_TPM(software);
  const std::string data = folder_.path() + "/data";
  const auto disk = [&] { return std::make_unique<AgentDisk>(data, Make(*software)); };
  const auto before = disk();
  const SharedSigner key = before->keys().Generate().value();
  const TestCa ca;
  const SpiffeId id = SpiffeId::Parse("spiffe://example.org/spire/agent/1").value();
  const AgentSvid svid{
      .chain = {ca.IssueFor(id, key->public_key())}, .key = key, .reattestable = true};
  ASSERT_OK(before->Save({.svid = svid, .bundle = {ca.certificate()}, .bootstrap = {}}));
  const auto stored = disk()->Load();
  ASSERT_OK(stored);
  ASSERT_TRUE(stored->svid.has_value());
  EXPECT_EQ(stored->svid->key->public_key(), key->public_key());
  EXPECT_TRUE(stored->svid->reattestable);

  software->Run("tpm2_clear -Q -c p");
  const auto cleared = disk()->Load();
  ASSERT_OK(cleared);
  EXPECT_FALSE(cleared->svid.has_value());
  EXPECT_EQ(cleared->bundle.size(), 1);
}

}  // namespace
}  // namespace assay
