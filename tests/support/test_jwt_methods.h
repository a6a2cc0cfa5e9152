// SPDX-License-Identifier: GPL-3.0-or-later
// The JWT profile of the Workload API for callers with the entry "a" of example.org, and an
// identity role that mints as the test says.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "spiffe/workload.pb.h"
#include "tests/support/fake_serve.h"
#include "tests/support/test_jwt.h"
#include "tests/support/test_workload_api.h"

namespace assay {
class JwtMethodsTest : public testing::Test, protected TestWorkloadApi {
 protected:
  JwtMethodsTest() {
    Change first = Entry("a");
    first.set_reset(true);
    AddBundle(first, "example.org", {own_.authority()});
    AddBundle(first, "b.test", {foreign_.authority()});
    Commit(first);
    Admit();
  }
  static void AddBundle(Change& change, const std::string& trust_domain,
                        const std::vector<JwtAuthority>& authorities) {
    roles::Bundle& bundle = *change.add_bundles();
    bundle.set_trust_domain(trust_domain);
    bundle.set_x509_authorities("roots");
    for (const JwtAuthority& authority : authorities) {
      roles::JwtAuthority& added = *bundle.add_jwt_authorities();
      added.set_key_id(authority.key_id);
      added.set_public_key(authority.public_key.spki());
    }
  }
  void SetBundle(const std::string& trust_domain, const std::vector<JwtAuthority>& authorities) {
    Change change;
    AddBundle(change, trust_domain, authorities);
    Commit(change);
  }
  void Federate() {
    Change change = Entry("a");
    change.mutable_entries(0)->add_federates_with("b.test");
    Commit(change);
  }
  std::string Token(const TestJwtKey& key, const std::string& id, nlohmann::json more = {}) const {
    nlohmann::json claims = TestJwtKey::Claims(id, {"x"}, server_.clock.Now());
    claims.update(more.is_null() ? nlohmann::json::object() : more);
    return key.Token(claims);
  }
  Outcome<ValidateJWTSVIDResponse> Validate(const std::string& token,
                                            const std::string& audience = "x") {
    ValidateJWTSVIDRequest request;
    request.set_audience(audience);
    request.set_svid(token);
    return Call<ValidateJWTSVIDResponse>("ValidateJWTSVID", request);
  }
  // The bundles of each message so far: their trust domains, and the ids of their keys.
  std::vector<std::map<std::string, std::vector<std::string>>> Bundles(int32_t call) {
    std::vector<std::map<std::string, std::vector<std::string>>> sent;
    for (const std::string& bytes : Messages(call)) {
      JWTBundlesResponse response;
      EXPECT_TRUE(response.ParseFromString(bytes));
      sent.emplace_back();
      for (const auto& [id, document] : response.bundles()) {
        std::vector<std::string>& ids = sent.back()[id];
        const auto set = nlohmann::json::parse(document);
        for (const nlohmann::json& key : set.at("keys")) {
          ids.push_back(key.at("kid").get<std::string>());
          EXPECT_FALSE(key.contains("x5c"));
        }
      }
    }
    return sent;
  }

  int32_t StartFetch(const std::vector<std::string>& audience, const std::string& id = "") {
    JWTSVIDRequest request;
    request.mutable_audience()->Add(audience.begin(), audience.end());
    request.set_spiffe_id(id);
    return Start("FetchJWTSVID", request.SerializeAsString());
  }
  std::string FetchStatus(const std::vector<std::string>& audience, const std::string& id = "") {
    return StatusOf(StartFetch(audience, id));
  }
  // The entries and audiences that the identity role was asked to mint for since the last time:
  // "a x,y", with the number of the request where it is for one call.
  std::vector<std::string> Minted() {
    Step();
    std::vector<std::string> minted;
    for (const roles::ServeRequest& request : std::exchange(requests_, {})) {
      if (request.has_mint_jwt()) {
        const std::string number = request.mint_jwt().request() == 0
                                       ? ""
                                       : fmt::format("{} ", request.mint_jwt().request());
        minted.push_back(number + FakeServe::KeyText(request.mint_jwt().key()));
      }
    }
    return minted;
  }
  static void SetKey(roles::JwtSvidKey& key, const std::string& entry,
                     const std::vector<std::string>& audience) {
    key.set_entry_id(entry);
    key.mutable_audience()->Add(audience.begin(), audience.end());
  }
  // As the identity role answers.
  void Tell(const std::string& entry, const std::vector<std::string>& audience,
            const std::string& text, absl::Duration ttl = absl::Minutes(5), uint64_t request = 0) {
    roles::JwtChange change;
    roles::JwtSvid& svid = *change.add_svids();
    SetKey(*svid.mutable_key(), entry, audience);
    svid.set_request(request);
    svid.set_spiffe_id("spiffe://example.org/" + entry);
    svid.set_token(text);
    svid.set_key_id("own");
    svid.set_expires_at(absl::ToUnixSeconds(server_.clock.Now() + ttl));
    svid.set_late_at(absl::ToUnixSeconds(server_.clock.Now() + ttl / 2));
    ASSERT_OK(jwt_tokens_.Take(change));
  }
  void TellFailure(const std::string& entry, const std::vector<std::string>& audience,
                   const std::string& error, uint64_t request = 0) {
    roles::JwtChange change;
    roles::JwtFailure& failure = *change.add_failures();
    failure.set_request(request);
    SetKey(*failure.mutable_key(), entry, audience);
    failure.set_error(error);
    ASSERT_OK(jwt_tokens_.Take(change));
  }
  // "a=token" of each SVID in the answer, or the status of a call that failed.
  std::vector<std::string> Fetched(int32_t call) {
    const auto outcome = Finished<JWTSVIDResponse>(call);
    if (outcome.status != "0 ") {
      return {outcome.status};
    }
    std::vector<std::string> fetched;
    for (const JWTSVID& svid : outcome.response.svids()) {
      fetched.push_back(svid.spiffe_id().substr(svid.spiffe_id().rfind('/') + 1) + svid.hint() +
                        "=" + svid.svid());
    }
    return fetched;
  }

  const TestJwtKey own_{"own"}, foreign_{"foreign"};
};

}  // namespace assay
