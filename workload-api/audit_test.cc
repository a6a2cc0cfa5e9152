// SPDX-License-Identifier: GPL-3.0-or-later
// What is told of the keys and tokens that calls hand out.
#include "workload-api/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spiffe/workload.pb.h"
#include "tests/support/fake_ca.h"
#include "tests/support/test_delegated_identity.h"
#include "tests/support/test_jwt.h"
#include "tests/support/test_sds.h"
#include "tests/support/test_workload_api.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const FakeCa& Ca() {
  static const FakeCa kCa = FakeCa::Root();
  return kCa;
}

class AuditTest : public testing::Test, protected TestWorkloadApi {
 protected:
  AuditTest() {
    Change first = Entry("a");
    first.set_reset(true);
    roles::Bundle& bundle = *first.add_bundles();
    bundle.set_trust_domain("example.org");
    bundle.set_x509_authorities("roots");
    roles::JwtAuthority& authority = *bundle.add_jwt_authorities();
    authority.set_key_id(key_.authority().key_id);
    authority.set_public_key(key_.authority().public_key.spki());
    Commit(first);
    gate_.answer = sets_.Get({{"unix", "uid:1"}});
  }
  // An SVID with this serial number.
  void Sign(const std::string& entry, const std::string& serial) {
    const FakeIdentity leaf =
        Ca().Leaf("spiffe://example.org/" + entry,
                  {.change = [&](crypto::CertificateTemplate& what) { what.serial = serial; }});
    Change change = Svid(entry);
    change.mutable_svids(0)->set_chain(leaf.certificate.der() + Ca().certificate().der());
    Commit(change);
  }
  int32_t FetchX509() { return Start("FetchX509SVID"); }
  int32_t FetchJwt() {
    JWTSVIDRequest request;
    request.add_audience("y");
    request.add_audience("x");
    return Start("FetchJWTSVID", request.SerializeAsString());
  }
  // As the identity role does.
  void Mint(const nlohmann::json& more = nlohmann::json::object()) {
    nlohmann::json claims =
        TestJwtKey::Claims("spiffe://example.org/a", {"x", "y"}, server_.clock.Now());
    claims.update(more);
    roles::JwtChange change;
    roles::JwtSvid& svid = *change.add_svids();
    svid.mutable_key()->set_entry_id("a");
    svid.mutable_key()->add_audience("x");
    svid.mutable_key()->add_audience("y");
    svid.set_spiffe_id("spiffe://example.org/a");
    svid.set_token(key_.Token(claims));
    svid.set_key_id(key_.authority().key_id);
    svid.set_expires_at(absl::ToUnixSeconds(server_.clock.Now() + absl::Minutes(5)));
    svid.set_late_at(absl::ToUnixSeconds(server_.clock.Now() + absl::Minutes(3)));
    ASSERT_OK(jwt_tokens_.Take(change));
  }

  const TestJwtKey key_{"k"};
};

TEST_F(AuditTest, TellsOfEachKeyInEachMessageOfAStream) {
  Sign("a", "\x11");
  const int32_t call = FetchX509();
  ASSERT_THAT(Messages(call), SizeIs(1));
  EXPECT_THAT(audit_.Taken(), ElementsAre("WorkloadAPI FetchX509SVID a 17"));
  EXPECT_EQ(audit_.last.spiffe_id, "spiffe://example.org/a");
  EXPECT_EQ(audit_.last.expires_at, absl::ToUnixSeconds(server_.clock.Now() + absl::Hours(1)));
  EXPECT_EQ(audit_.caller.cgroup, "/somewhere");
  EXPECT_EQ(audit_.pid, getpid());
  Commit(Entry("b"));
  ASSERT_THAT(Messages(call), SizeIs(1));
  EXPECT_THAT(audit_.Taken(), IsEmpty()) << "nothing was sent";
  Sign("b", "\x12");
  ASSERT_THAT(Messages(call), SizeIs(2));
  EXPECT_THAT(audit_.Taken(),
              ElementsAre("WorkloadAPI FetchX509SVID a 17", "WorkloadAPI FetchX509SVID b 18"));
}

TEST_F(AuditTest, APartialMessageHasTheKeysThatItHas) {
  Sign("a", "\x11");
  Commit(Entry("b"));
  const int32_t call = FetchX509();
  EXPECT_THAT(Messages(call), IsEmpty());
  server_.clock.Advance(IdentitySet::kPatience);
  EXPECT_THAT(Messages(call), SizeIs(1));
  EXPECT_THAT(audit_.Taken(), ElementsAre("WorkloadAPI FetchX509SVID a 17"));
}

TEST_F(AuditTest, BundlesAreNotTold) {
  Sign("a", "\x11");
  EXPECT_THAT(Messages(Start("FetchX509Bundles")), SizeIs(1));
  EXPECT_THAT(audit_.Taken(), IsEmpty());
}

TEST_F(AuditTest, TellsOfATokenByItsJtiAndNeverByItself) {
  Mint({{"jti", "number 7"}});
  EXPECT_EQ(StatusOf(FetchJwt()), "0 ");
  EXPECT_THAT(audit_.Taken(), ElementsAre("WorkloadAPI FetchJWTSVID a jwt"));
  EXPECT_THAT(audit_.last.audience, ElementsAre("x", "y"));
  EXPECT_EQ(audit_.last.jti, "number 7");
  EXPECT_EQ(audit_.last.expires_at, absl::ToUnixSeconds(server_.clock.Now() + absl::Minutes(5)));
  Mint();
  EXPECT_EQ(StatusOf(FetchJwt()), "0 ");
  EXPECT_EQ(audit_.last.jti, "");
}

TEST_F(AuditTest, WhatItDoesNotTakeIsNotHandedOut) {
  Sign("a", "\x11");
  Mint();
  const int32_t open = FetchX509();
  ASSERT_THAT(Messages(open), SizeIs(1));
  audit_.answer = Unavailable("full");
  EXPECT_EQ(StatusOf(FetchX509()), "14 full");
  EXPECT_EQ(StatusOf(FetchJwt()), "14 full");
  Sign("a", "\x12");
  EXPECT_EQ(StatusOf(open), "14 full");
  EXPECT_THAT(Messages(open), SizeIs(1));
  audit_.answer = absl::OkStatus();
  EXPECT_THAT(Messages(FetchX509()), SizeIs(1));
}

using SdsAuditTest = SdsTest;

TEST_F(SdsAuditTest, TellsOfTheKeysThatAProxyIsTold) {
  Begin();
  Grant("a");
  Open("StreamSecrets", Whole({"ROOTCA", Id("a"), "default"}));
  EXPECT_THAT(audit_.Taken(), ElementsAre("SDS.v3 StreamSecrets a ", "SDS.v3 StreamSecrets a "))
      << "under both names";
  Open("FetchSecrets", Whole({Id("a")}));
  EXPECT_THAT(audit_.Taken(), ElementsAre("SDS.v3 FetchSecrets a "));
  Open("StreamSecrets", Whole({"ROOTCA"}));
  EXPECT_THAT(audit_.Taken(), IsEmpty());
}

TEST_F(SdsAuditTest, OfDeltasTheNewKeysAlone) {
  Begin();
  Grant("a");
  Grant("b");
  Open("DeltaSecrets", Delta({Id("a"), Id("b")}));
  EXPECT_THAT(audit_.Taken(), SizeIs(2));
  Commit(Svid("b", 2));
  EXPECT_THAT(audit_.Taken(), ElementsAre("SDS.v3 DeltaSecrets b "));
  EXPECT_EQ(audit_.last.spiffe_id, Id("b"));
}

TEST_F(SdsAuditTest, WhatItDoesNotTakeIsNotTold) {
  Begin();
  Grant("a");
  audit_.answer = Unavailable("full");
  for (const char* method : {"StreamSecrets", "FetchSecrets"}) {
    const int32_t call = Open(method, Whole({Id("a")}));
    EXPECT_TRUE(Ended(call));
    EXPECT_THAT(Sent(call), IsEmpty());
    EXPECT_EQ(client_->stream(call).status(), 14);
  }
  const int32_t delta = Open("DeltaSecrets", Delta({Id("a")}));
  EXPECT_TRUE(Ended(delta));
  EXPECT_THAT(DeltasSent(delta), IsEmpty());
  const int32_t roots = Open("StreamSecrets", Whole({"ROOTCA"}));
  EXPECT_THAT(Sent(roots), SizeIs(1)) << "no key is in it";
}

class DelegateAuditTest : public testing::Test, protected TestDelegatedIdentity {};

TEST_F(DelegateAuditTest, TellsOfADelegateAndOfTheProcessThatItAsksFor) {
  Commit(First());
  processes_.found[7] = std::vector<Selector>{{"unix", "uid:2"}};
  EXPECT_THAT(Paths(Subscribe({}, 7)), SizeIs(1));
  EXPECT_THAT(audit_.Taken(), ElementsAre("DelegatedIdentity SubscribeToX509SVIDs w "));
  EXPECT_EQ(audit_.caller.asks_for, 7);
  EXPECT_EQ(audit_.caller.cgroup, "/somewhere") << "the delegate's own";
  EXPECT_THAT(Paths(SubscribeToWorkload()), SizeIs(1));
  EXPECT_THAT(audit_.Taken(), SizeIs(1));
  EXPECT_EQ(audit_.caller.asks_for, 0);
  EXPECT_THAT(Paths(Subscribe({{"unix", "uid:3"}})), SizeIs(1)) << "an answer without a key";
  EXPECT_THAT(audit_.Taken(), IsEmpty());
  audit_.answer = Unavailable("full");
  EXPECT_EQ(StatusOf(SubscribeToWorkload()), "14 full");
}

}  // namespace
}  // namespace assay
