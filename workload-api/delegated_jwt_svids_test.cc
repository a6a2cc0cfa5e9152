// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/delegated_jwt_svids.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_serve.h"
#include "tests/support/test_delegated_identity.h"
#include "tests/support/test_jwt.h"

namespace assay {
namespace {

using spire::api::agent::delegatedidentity::v1::FetchJWTSVIDsRequest;
using spire::api::agent::delegatedidentity::v1::FetchJWTSVIDsResponse;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class DelegatedJwtTest : public testing::Test, protected TestDelegatedIdentity {
 protected:
  DelegatedJwtTest() {
    Change first = First();
    roles::JwtAuthority& authority = *first.mutable_bundles(0)->add_jwt_authorities();
    authority.set_key_id(key_.authority().key_id);
    authority.set_public_key(key_.authority().public_key.spki());
    AddEntry(first, "admin", "uid:2").set_privileged(true);
    Commit(first);
  }
  int32_t Fetch(const std::vector<std::string>& audience,
                const std::vector<Selector>& selectors = {{"unix", "uid:2"}}, pid_t pid = 0) {
    auto request = ForSelectors<FetchJWTSVIDsRequest>(selectors);
    request.mutable_audience()->Add(audience.begin(), audience.end());
    request.set_pid(pid);
    return Start("FetchJWTSVIDs", request);
  }
  // The entries and audiences that were asked to be minted: "w x,y".
  std::vector<std::string> Minted() {
    Step();
    std::vector<std::string> minted;
    for (const roles::ServeRequest& request : std::exchange(requests_, {})) {
      if (request.has_mint_jwt()) {
        minted.push_back(FakeServe::KeyText(request.mint_jwt().key()));
      }
    }
    return minted;
  }
  // As the identity role answers.
  std::string Tell(const std::string& entry, const std::vector<std::string>& audience) {
    const std::string id = "spiffe://example.org/" + entry;
    const std::string token = key_.Token(TestJwtKey::Claims(id, audience, server_.clock.Now()));
    roles::JwtChange change;
    roles::JwtSvid& svid = *change.add_svids();
    svid.mutable_key()->set_entry_id(entry);
    svid.mutable_key()->mutable_audience()->Add(audience.begin(), audience.end());
    svid.set_spiffe_id(id);
    svid.set_token(token);
    svid.set_key_id(key_.authority().key_id);
    svid.set_expires_at(absl::ToUnixSeconds(server_.clock.Now() + absl::Minutes(5)));
    svid.set_late_at(absl::ToUnixSeconds(server_.clock.Now() + absl::Minutes(2)));
    EXPECT_OK(jwt_tokens_.Take(change));
    return token;
  }

  const TestJwtKey key_;
};

TEST_F(DelegatedJwtTest, GivesJwtSvidsOfWhoHasTheSelectors) {
  const int32_t call = Fetch({"y", "x"});
  EXPECT_THAT(Minted(), ElementsAre("w x,y"));  // And none for an admin.
  const std::string token = Tell("w", {"x", "y"});
  const auto messages = Messages<FetchJWTSVIDsResponse>(call);
  EXPECT_EQ(StatusOf(call), "0 ");
  ASSERT_THAT(messages, SizeIs(1));
  ASSERT_EQ(messages[0].svids_size(), 1);
  const auto& svid = messages[0].svids(0);
  EXPECT_EQ(svid.token(), token);
  EXPECT_EQ(svid.id().trust_domain() + svid.id().path(), "example.org/w");
  EXPECT_EQ(svid.issued_at(), absl::ToUnixSeconds(server_.clock.Now()));
  EXPECT_EQ(svid.expires_at(), absl::ToUnixSeconds(server_.clock.Now() + absl::Minutes(5)));
  // It is there at once for the next.
  EXPECT_EQ(StatusOf(Fetch({"x", "y"})), "0 ");
  EXPECT_THAT(Minted(), IsEmpty());
}

TEST_F(DelegatedJwtTest, GivesJwtSvidsOfAProcess) {
  processes_.found[7] = std::vector<Selector>{{"unix", "uid:2"}};
  const int32_t call = Fetch({"x"}, {}, 7);
  EXPECT_THAT(Minted(), ElementsAre("w x"));
  Tell("w", {"x"});
  EXPECT_EQ(StatusOf(call), "0 ");
  EXPECT_EQ(processes_.open, 0);
  const int32_t late = Fetch({"z"}, {}, 7);
  Step();
  processes_.End(7);
  EXPECT_EQ(StatusOf(late), "5 process 7 has ended");
}

TEST_F(DelegatedJwtTest, WhatIsWrongWithTheRequestIsSaid) {
  gate_.asked = 0;
  EXPECT_EQ(StatusOf(Fetch({})), "3 audience must be specified");
  EXPECT_EQ(gate_.asked, 0);
  EXPECT_EQ(StatusOf(Fetch({"x"}, {})),
            "3 must provide either selectors or non-zero PID, but not both");
  EXPECT_EQ(StatusOf(Fetch({"x"}, {{"unix", "uid:3"}})), "7 no identity issued");
  EXPECT_EQ(StatusOf(Fetch({"x"}, {}, -1)), "14 workload attestation failed");
  service_.Authorize({});
  EXPECT_EQ(StatusOf(Fetch({"x"}, {})), kNotAuthorized);
  EXPECT_THAT(Minted(), IsEmpty());
}

TEST_F(DelegatedJwtTest, ADelegateWhoseEntryGoesGetsNoTokenItWaitedFor) {
  const int32_t call = Fetch({"x"});
  EXPECT_THAT(Minted(), ElementsAre("w x"));
  Remove("delegate");
  Tell("w", {"x"});
  EXPECT_EQ(StatusOf(call), "7 no identity issued");
  EXPECT_THAT(Messages<FetchJWTSVIDsResponse>(call), IsEmpty());
}

TEST_F(DelegatedJwtTest, AFailureIsToldAsUnavailable) {
  const int32_t call = Fetch({"x"});
  Step();
  roles::JwtChange change;
  roles::JwtFailure& failure = *change.add_failures();
  failure.mutable_key()->set_entry_id("w");
  failure.mutable_key()->add_audience("x");
  failure.set_error("away");
  ASSERT_OK(jwt_tokens_.Take(change));
  EXPECT_EQ(StatusOf(call), "14 could not fetch JWT-SVID: away");
}

}  // namespace
}  // namespace assay
