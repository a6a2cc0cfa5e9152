// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/entry_convert.h"

#include <gmock/gmock.h>

#include "spire/api/types/entry.pb.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

namespace types = spire::api::types;

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

const TrustDomain kDomain = TrustDomain::Parse("example.org").value();

types::Entry Sent() {
  types::Entry sent;
  sent.mutable_spiffe_id()->set_trust_domain("example.org");
  sent.mutable_spiffe_id()->set_path("/w");
  sent.mutable_parent_id()->set_trust_domain("example.org");
  sent.mutable_parent_id()->set_path("/spire/agent/a");
  types::Selector* selector = sent.add_selectors();
  selector->set_type("unix");
  selector->set_value("uid:0");
  return sent;
}

TEST(EntryConvertTest, TakesAnEntryAsSent) {
  types::Entry sent = Sent();
  sent.add_federates_with("spiffe://other.org");
  sent.add_federates_with("third.org");
  sent.set_revision_number(7);
  const auto entry = ParseEntry(kDomain, sent);
  ASSERT_OK(entry);
  EXPECT_EQ(entry->spiffe_id.ToString(), "spiffe://example.org/w");
  EXPECT_EQ(entry->parent_id->ToString(), "spiffe://example.org/spire/agent/a");
  EXPECT_THAT(entry->federates_with, ElementsAre(TrustDomain::Parse("other.org").value(),
                                                 TrustDomain::Parse("third.org").value()));
  EXPECT_EQ(entry->revision_number, 0);
}

TEST(EntryConvertTest, SaysWhatIsMalformed) {
  const auto refusal = [](const std::function<void(types::Entry&)>& spoil) {
    types::Entry sent = Sent();
    spoil(sent);
    const auto entry = ParseEntry(kDomain, sent);
    EXPECT_EQ(entry.status().code(), StatusCode::kInvalidArgument);
    return std::string(Message(entry.status()));
  };
  EXPECT_THAT(refusal([](auto& e) { e.clear_parent_id(); }),
              "invalid parent ID: request must specify SPIFFE ID");
  EXPECT_THAT(refusal([](auto& e) { e.mutable_parent_id()->set_path(""); }),
              HasSubstr("invalid parent ID: "));
  EXPECT_THAT(refusal([](auto& e) { e.mutable_spiffe_id()->set_path("/spire/x"); }),
              HasSubstr("path is in the reserved namespace"));
  EXPECT_THAT(refusal([](auto& e) { e.mutable_spiffe_id()->set_trust_domain("other.org"); }),
              HasSubstr("is not a member of trust domain \"example.org\""));
  EXPECT_THAT(refusal([](auto& e) { e.clear_selectors(); }), "selector list is empty");
  EXPECT_THAT(refusal([](auto& e) { e.mutable_selectors(0)->set_type("a:b"); }),
              "selector type contains ':'");
  EXPECT_THAT(refusal([](auto& e) { e.mutable_selectors(0)->clear_value(); }),
              "missing selector value");
  EXPECT_THAT(refusal([](auto& e) { e.add_dns_names("-"); }), HasSubstr("invalid DNS name: "));
  EXPECT_THAT(refusal([](auto& e) { e.add_federates_with("X"); }),
              HasSubstr("invalid federated trust domain: "));
  // WLAPI-20
  EXPECT_THAT(refusal([](auto& e) { e.set_hint(std::string(1025, 'x')); }),
              "hint is too long, max length is 1024 characters");
}

TEST(EntryConvertTest, UpdatesTheFieldsOfTheMaskAlone) {
  types::Entry first = Sent();
  first.set_hint("old");
  first.set_admin(true);
  const RegistrationEntry entry = ParseEntry(kDomain, first).value();
  types::Entry sent;
  sent.set_hint("new");
  types::EntryMask mask;
  mask.set_hint(true);
  const auto updated = ApplyUpdate(entry, sent, mask);
  ASSERT_OK(updated);
  EXPECT_EQ(updated->hint, "new");
  EXPECT_TRUE(updated->admin);
  EXPECT_EQ(updated->selectors, entry.selectors);
}

TEST(EntryConvertTest, TellsTheFieldsOfTheMaskAlone) {
  types::Entry sent = Sent();
  sent.set_id("e");
  sent.set_x509_svid_ttl(60);
  sent.mutable_additional_attributes()->set_jwt_svid_include_jti(true);
  const RegistrationEntry entry = ParseEntry(kDomain, sent).value();
  types::EntryMask none;
  types::Entry told;
  ToProto(entry, none, &told);
  EXPECT_EQ(told.SerializeAsString(), [] {
    types::Entry only_id;
    only_id.set_id("e");
    return only_id.SerializeAsString();
  }());
  told.Clear();
  ToProto(entry, AllOfEntry(), &told);
  EXPECT_EQ(told.SerializeAsString(), sent.SerializeAsString());
}

TEST(EntryConvertTest, RefusesBytesThatAreNoEntry) {
  EXPECT_THAT(DecodeEntry("\x0a\x05x"), StatusIs(StatusCode::kDataLoss, HasSubstr("damaged")));
  EXPECT_THAT(DecodeEntry(""), StatusIs(StatusCode::kDataLoss, HasSubstr("stored registration")));
}

}  // namespace
}  // namespace assay
