// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/store.h"

#include <gmock/gmock.h>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const TrustDomain kDomain = TrustDomain::Parse("example.org").value();
SpiffeId Id(std::string_view path) { return SpiffeId::Create(kDomain, path).value(); }

RegistrationEntry FullEntry() {
  return {.id = "e1",
          .spiffe_id = Id("/w"),
          .parent_id = Id("/spire/agent/a"),
          .selectors = {{"unix", "uid:0"}},
          .federates_with = {TrustDomain::Parse("other.org").value()},
          .dns_names = {"b.example", "a.example"},
          .hint = "internal",
          .x509_svid_ttl = 60,
          .jwt_svid_ttl = 70,
          .expires_at = 2000000000,
          .created_at = 1800000000,
          .revision_number = 3,
          .admin = true,
          .downstream = true,
          .store_svid = true,
          .disable_x509_svid_prefetch = true,
          .jwt_svid_include_jti = true};
}

class StoreTest : public testing::Test {
 protected:
  std::unique_ptr<Store> Open() { return Store::Open(path_, kDomain).value(); }
  const TempFolder folder_;
  const std::string path_ = folder_.path() + "/datastore.sqlite3";
};

TEST_F(StoreTest, BringsAnEntryBackWhole) {
  const RegistrationEntry entry = FullEntry();
  ASSERT_OK(Open()->Put(entry));
  const auto entries = Open()->Load().value().entries;
  ASSERT_THAT(entries, SizeIs(1));
  const RegistrationEntry& back = entries.front();
  EXPECT_EQ(back.id, entry.id);
  EXPECT_EQ(back.spiffe_id, entry.spiffe_id);
  EXPECT_EQ(back.parent_id, entry.parent_id);
  EXPECT_EQ(back.selectors, entry.selectors);
  EXPECT_EQ(back.federates_with, entry.federates_with);
  EXPECT_EQ(back.dns_names, entry.dns_names);
  EXPECT_EQ(back.hint, entry.hint);
  EXPECT_EQ(back.x509_svid_ttl, 60);
  EXPECT_EQ(back.jwt_svid_ttl, 70);
  EXPECT_EQ(back.expires_at, entry.expires_at);
  EXPECT_EQ(back.created_at, entry.created_at);
  EXPECT_EQ(back.revision_number, 3);
  EXPECT_TRUE(back.admin && back.downstream && back.store_svid);
  EXPECT_TRUE(back.disable_x509_svid_prefetch && back.jwt_svid_include_jti);
}

TEST_F(StoreTest, BringsNodesAndTokensBack) {
  const Node node{.id = Id("/spire/agent/a"),
                  .attestation_type = "tpm_devid",
                  .serial = "12",
                  .expires_at = 5,
                  .pending_serial = "13",
                  .pending_expires_at = 6,
                  .selectors = {{"tpm_devid", "x"}},
                  .can_reattest = true,
                  .agent_version = "1.0"};
  {
    const auto store = Open();
    ASSERT_OK(store->Put(node));
    ASSERT_OK(store->Put(JoinToken{.digest = JoinToken::DigestOf("t"),
                                   .expires_at = 9,
                                   .alias = SpiffeId::Parse("spiffe://example.org/rack").value()}));
  }
  const auto contents = Open()->Load().value();
  ASSERT_THAT(contents.nodes, SizeIs(1));
  const Node& back = contents.nodes.front();
  EXPECT_EQ(back.id, node.id);
  EXPECT_EQ(back.attestation_type, "tpm_devid");
  EXPECT_EQ(back.serial, "12");
  EXPECT_EQ(back.expires_at, 5);
  EXPECT_EQ(back.pending_serial, "13");
  EXPECT_EQ(back.pending_expires_at, 6);
  EXPECT_EQ(back.selectors, node.selectors);
  EXPECT_TRUE(back.can_reattest);
  EXPECT_EQ(back.agent_version, "1.0");
  ASSERT_THAT(contents.tokens, SizeIs(1));
  EXPECT_EQ(contents.tokens.front().digest, JoinToken::DigestOf("t"));
  EXPECT_EQ(contents.tokens.front().alias->ToString(), "spiffe://example.org/rack");
}

TEST_F(StoreTest, ForgetsWhatIsErased) {
  const auto store = Open();
  ASSERT_OK(store->Put(FullEntry()));
  ASSERT_OK(store->EraseEntry("e1"));
  ASSERT_OK(store->EraseEntry("e1"));
  EXPECT_THAT(store->Load().value().entries, IsEmpty());
}

TEST_F(StoreTest, KeepsNothingOfAFailedTransaction) {
  const auto store = Open();
  EXPECT_THAT(store->InTransaction([&] {
    EXPECT_OK(store->Put(FullEntry()));
    return InvalidArgument("no");
  }),
              StatusIs(StatusCode::kInvalidArgument, "no"));
  EXPECT_THAT(store->Load().value().entries, IsEmpty());
}

TEST_F(StoreTest, BelongsToOneTrustDomain) {
  Open().reset();
  EXPECT_THAT(Store::Open(path_, TrustDomain::Parse("other.org").value()),
              StatusIs(StatusCode::kFailedPrecondition,
                       HasSubstr("is of trust domain \"example.org\", not other.org")));
  EXPECT_THAT(Store::Open(path_, kDomain), IsOk());
}

TEST_F(StoreTest, RefusesADatabaseOfALaterVersion) {
  Open().reset();
  ASSERT_OK(Database::Open(path_).value()->Execute("PRAGMA user_version = 99"));
  EXPECT_THAT(Store::Open(path_, kDomain),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("run the newer one")));
}

TEST_F(StoreTest, SaysWhichEntryIsDamaged) {
  Open().reset();
  ASSERT_OK(Database::Open(path_).value()->Execute("INSERT INTO entries VALUES ('x', x'0a0178')"));
  EXPECT_THAT(Open()->Load(),
              StatusIs(StatusCode::kDataLoss, HasSubstr("stored registration entry \"x\"")));
}

}  // namespace
}  // namespace assay
