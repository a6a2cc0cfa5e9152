// SPDX-License-Identifier: GPL-3.0-or-later
// What the resources of SDS hold, and under which names.
#include "workload-api/sds_resources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assay/roles.pb.h"
#include "base/event_loop.h"
#include "crypto/pem.h"
#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.pb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

namespace tls = envoy::extensions::transport_sockets::tls::v3;

using testing::ElementsAre;
using testing::IsNull;
using testing::NotNull;

// DER of a kind: a sequence that holds a byte.
std::string Der(char content) { return std::string("\x30\x01") + content; }

std::vector<std::string> DersIn(const std::string& pem, std::string_view label) {
  std::vector<std::string> found;
  const auto blocks = crypto::ParsePem(pem);
  EXPECT_OK(blocks);
  for (const crypto::PemBlock& block : *blocks) {
    EXPECT_EQ(block.label, label);
    found.push_back(block.der);
  }
  return found;
}

class SdsResourcesTest : public testing::Test {
 protected:
  SdsResourcesTest() {
    roles::StateChange change;
    change.set_reset(true);
    AddBundle(change, "example.org", Der('1') + Der('2'));
    AddBundle(change, "other.org", Der('3'));
    AddBundle(change, "third.org", Der('4'));
    AddBundle(change, "empty.org", "");
    AddEntry(change, "a");
    AddEntry(change, "b");
    AddSvid(change, "b", Der('b'));
    AddSvid(change, "a", Der('a') + Der('i'));
    Commit(std::move(change));
  }

  static void AddBundle(roles::StateChange& change, const std::string& name,
                        const std::string& authorities) {
    roles::Bundle& bundle = *change.add_bundles();
    bundle.set_trust_domain(name);
    bundle.set_x509_authorities(authorities);
  }
  static void AddEntry(roles::StateChange& change, const std::string& id) {
    roles::Entry& entry = *change.add_entries();
    entry.set_id(id);
    entry.set_spiffe_id("spiffe://example.org/" + id);
    entry.add_federates_with("other.org");
    entry.add_federates_with("empty.org");
    entry.add_selectors()->set_type("t");
    entry.mutable_selectors(0)->set_value("v");
  }
  void AddSvid(roles::StateChange& change, const std::string& id, const std::string& chain) {
    roles::Svid& svid = *change.add_svids();
    svid.set_entry_id(id);
    svid.set_chain(chain);
    svid.set_key("the key of " + id);
    svid.set_expires_at(absl::ToUnixSeconds(clock_.Now() + absl::Hours(1)));
  }
  void Commit(roles::StateChange change) {
    change.set_commit(true);
    ASSERT_OK(state_.Receive(std::move(change)));
    sets_.Refresh();
  }

  SharedSdsResource Find(std::string_view name, SdsValidation validation = SdsValidation::kSpiffe) {
    return resources_.OfferTo(*set_, validation).Find(name, /*settled=*/true);
  }
  static tls::Secret Read(const SharedSdsResource& resource) {
    tls::Secret secret;
    EXPECT_TRUE(resource != nullptr &&
                secret.ParseFromArray(resource->bytes.Reveal().data(),
                                      static_cast<int>(resource->bytes.size())));
    return secret;
  }
  // The trust domains of a SPIFFE validator, each with the bytes of its authorities.
  static std::vector<std::string> Validators(const tls::Secret& secret) {
    const auto& custom = secret.validation_context().custom_validator_config();
    EXPECT_EQ(custom.name(), "envoy.tls.cert_validator.spiffe");
    tls::SPIFFECertValidatorConfig config;
    EXPECT_TRUE(custom.typed_config().UnpackTo(&config));
    std::vector<std::string> found;
    for (const auto& domain : config.trust_domains()) {
      std::string& text = found.emplace_back(domain.name());
      for (const std::string& der : DersIn(domain.trust_bundle().inline_bytes(), "CERTIFICATE")) {
        text += fmt::format(" {}", der.back());
      }
    }
    return found;
  }

  FakeClock clock_;
  std::unique_ptr<EventLoop> loop_ = EventLoop::Create(clock_).value();
  ServedState state_;
  IdentitySets sets_{state_,
                     clock_,
                     *loop_,
                     {.trust_domain = "example.org",
                      .want = [](const std::vector<std::string>&) {},
                      .used = [](const std::vector<std::string>&) {}}};
  std::shared_ptr<IdentitySet> set_ = sets_.Get({{"t", "v"}});
  SdsResources resources_{{state_, clock_, "example.org"}, {}};
};

TEST_F(SdsResourcesTest, AnSvidIsItsChainAndKeyInPem) {
  const tls::Secret secret = Read(Find("spiffe://example.org/a"));
  EXPECT_EQ(secret.name(), "spiffe://example.org/a");
  const tls::TlsCertificate& certificate = secret.tls_certificate();
  EXPECT_THAT(DersIn(certificate.certificate_chain().inline_bytes(), "CERTIFICATE"),
              ElementsAre(Der('a'), Der('i')));
  EXPECT_THAT(DersIn(certificate.private_key().inline_bytes(), "PRIVATE KEY"),
              ElementsAre("the key of a"));
}

TEST_F(SdsResourcesTest, TheDefaultIsTheFirstIdentitys) {
  const tls::Secret secret = Read(Find("default"));
  EXPECT_EQ(secret.name(), "default");
  EXPECT_THAT(DersIn(secret.tls_certificate().private_key().inline_bytes(), "PRIVATE KEY"),
              ElementsAre("the key of a"));
}

TEST_F(SdsResourcesTest, ABundleIsASpiffeValidator) {
  EXPECT_THAT(Validators(Read(Find("spiffe://example.org"))), ElementsAre("example.org 1 2"));
  EXPECT_THAT(Validators(Read(Find("spiffe://other.org"))), ElementsAre("other.org 3"));
  EXPECT_THAT(Validators(Read(Find("ROOTCA"))), ElementsAre("example.org 1 2"));
  EXPECT_THAT(Validators(Read(Find("ALL"))), ElementsAre("example.org 1 2", "other.org 3"));
  EXPECT_EQ(Read(Find("ALL")).name(), "ALL");
}

TEST_F(SdsResourcesTest, OrPlainAuthorities) {
  const tls::Secret secret = Read(Find("ROOTCA", SdsValidation::kPlain));
  EXPECT_FALSE(secret.validation_context().has_custom_validator_config());
  EXPECT_THAT(DersIn(secret.validation_context().trusted_ca().inline_bytes(), "CERTIFICATE"),
              ElementsAre(Der('1'), Der('2')));
  EXPECT_THAT(Find("spiffe://other.org", SdsValidation::kPlain), NotNull());
  EXPECT_THAT(Find("ALL", SdsValidation::kPlain), IsNull())
      << "one trust domain's authorities would speak for another's";
}

TEST_F(SdsResourcesTest, WhatTheCallerMayNotHaveIsNotThere) {
  for (const char* name : {"spiffe://example.org/c", "spiffe://third.org", "spiffe://empty.org",
                           "spiffe://", "example.org", "", "rootca", "*"}) {
    EXPECT_THAT(Find(name), IsNull()) << name;
  }
  const std::shared_ptr<IdentitySet> nobody = sets_.Get({{"t", "w"}});
  for (const char* name : {"default", "ROOTCA", "ALL", "spiffe://example.org"}) {
    EXPECT_THAT(resources_.OfferTo(*nobody, SdsValidation::kSpiffe).Find(name, true), IsNull())
        << name;
  }
}

TEST_F(SdsResourcesTest, TheOperatorChoosesTheNames) {
  SdsResources named({state_, clock_, "example.org"}, {.default_svid_name = "me",
                                                       .default_bundle_name = "us",
                                                       .default_all_bundles_name = "",
                                                       .disable_spiffe_cert_validation = false});
  const auto find = [&](std::string_view name) {
    return named.OfferTo(*set_, SdsValidation::kSpiffe).Find(name, true);
  };
  EXPECT_THAT(find("me"), NotNull());
  EXPECT_THAT(find("us"), NotNull());
  for (const char* name : {"default", "ROOTCA", "ALL", ""}) {
    EXPECT_THAT(find(name), IsNull()) << name;
  }
}

TEST_F(SdsResourcesTest, IsBuiltOnceForAllAndAnewWhenItChanges) {
  const SharedSdsResource before = Find("spiffe://example.org/a");
  EXPECT_EQ(Find("spiffe://example.org/a"), before);
  EXPECT_NE(Find("default"), before);
  roles::StateChange change;
  AddSvid(change, "a", Der('a') + Der('i'));
  Commit(change);
  const SharedSdsResource same = Find("spiffe://example.org/a");
  EXPECT_EQ(same->version, before->version) << "the same chain";
  AddSvid(change, "a", Der('n'));
  Commit(change);
  EXPECT_NE(Find("spiffe://example.org/a")->version, before->version);
  EXPECT_NE(Find("ROOTCA")->version, Find("ROOTCA", SdsValidation::kPlain)->version);
}

// By which users take turns.
TEST_F(SdsResourcesTest, CountsTheWorkThatANameMakes) {
  const auto cost = [this](std::string_view name) {
    auto offer = resources_.OfferTo(*set_, SdsValidation::kSpiffe);
    offer.Find(name, /*settled=*/true);
    return offer.cost();
  };
  const size_t before = cost("spiffe://example.org/x");
  roles::StateChange change;
  for (int i = 0; i < 1000; ++i) {
    AddEntry(change, fmt::format("entry {}", i));
  }
  Commit(change);
  EXPECT_GE(cost("spiffe://example.org/x"), before + 1000) << "all entries are gone over";
  auto offer = resources_.OfferTo(*set_, SdsValidation::kSpiffe);
  const SharedSdsResource built = offer.Find("ROOTCA", /*settled=*/true);
  const size_t first = offer.cost();
  EXPECT_GT(first, cost("ROOTCA") + 10) << "it was built, and is there now";
}

TEST_F(SdsResourcesTest, AnExpiredSvidIsNotThere) {
  clock_.Advance(absl::Hours(2));
  EXPECT_THAT(Find("spiffe://example.org/a"), IsNull());
  EXPECT_THAT(Find("default"), IsNull());
  EXPECT_THAT(Find("ROOTCA"), NotNull());
}

}  // namespace
}  // namespace assay
