// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/certificate_authority.h"

#include <algorithm>

namespace assay {

using Kind = SigningAuthority::Kind;
using Stage = SigningAuthority::Stage;

namespace {

constexpr absl::Duration kMostBeforePreparation = absl::Hours(30 * 24);
constexpr absl::Duration kMostBeforeActivation = absl::Hours(7 * 24);
constexpr absl::Duration kPublishedAfterEnd = absl::Hours(24);

absl::Time PrepareNextAt(const SigningAuthority& active) {
  return active.expires_at -
         std::min((active.expires_at - active.issued_at) / 2, kMostBeforePreparation);
}

absl::Time ActivateNextAt(const SigningAuthority& active) {
  return active.expires_at -
         std::min((active.expires_at - active.issued_at) / 6, kMostBeforeActivation);
}

void Publish(const SigningAuthority& authority, TrustBundle& bundle) {
  if (authority.kind == Kind::kX509) {
    bundle.x509_authorities.push_back({.certificate = *authority.certificate});
  } else {
    bundle.jwt_authorities.push_back({.key_id = authority.id,
                                      .public_key = authority.public_key,
                                      .expires_at = absl::ToUnixSeconds(authority.expires_at)});
  }
}

void Withdraw(const SigningAuthority& authority, TrustBundle& bundle) {
  std::erase_if(bundle.x509_authorities, [&](const X509Authority& published) {
    return published.certificate == authority.certificate;
  });
  std::erase_if(bundle.jwt_authorities,
                [&](const JwtAuthority& published) { return published.key_id == authority.id; });
}

}  // namespace

SigningAuthorityPtr CertificateAuthority::Find(Kind kind, Stage stage) const {
  for (const SigningAuthorityPtr& authority : authorities_) {
    if (authority->kind == kind && authority->stage == stage) {
      return authority;
    }
  }
  return nullptr;
}

SigningAuthorityPtr CertificateAuthority::Active(Kind kind) const {
  return Find(kind, Stage::kActive);
}

std::optional<CertificateAuthority::Step> CertificateAuthority::NextStep(absl::Time now) const {
  for (const Kind kind : kinds_) {
    const SigningAuthorityPtr active = Find(kind, Stage::kActive);
    const SigningAuthorityPtr prepared = Find(kind, Stage::kPrepared);
    if (prepared == nullptr && (active == nullptr || now >= PrepareNextAt(*active))) {
      return Step{Action::kPrepare, kind, ""};
    }
    if (prepared != nullptr && (active == nullptr || now >= ActivateNextAt(*active))) {
      return Step{Action::kActivate, kind, prepared->id};
    }
  }
  for (const SigningAuthorityPtr& authority : authorities_) {
    if (authority->stage == Stage::kOld && now > authority->expires_at + kPublishedAfterEnd) {
      return Step{Action::kForget, authority->kind, authority->id};
    }
  }
  return std::nullopt;
}

CertificateAuthority::Change CertificateAuthority::Plan(const Step& step,
                                                        std::optional<SigningAuthority> made,
                                                        const TrustBundle& bundle) const {
  Change change;
  TrustBundle updated = bundle;
  if (step.action == Action::kPrepare && made.has_value()) {
    Publish(*made, updated);
    change.put.push_back(*std::move(made));
  }
  if (step.action == Action::kActivate) {
    if (const SigningAuthorityPtr active = Find(step.kind, Stage::kActive)) {
      SigningAuthority retired = *active;
      retired.stage = Stage::kOld;
      retired.key.reset();
      change.put.push_back(std::move(retired));
    }
    if (const SigningAuthorityPtr prepared = Find(step.kind, Stage::kPrepared)) {
      SigningAuthority promoted = *prepared;
      promoted.stage = Stage::kActive;
      change.put.push_back(std::move(promoted));
    }
  }
  if (step.action == Action::kForget) {
    for (const SigningAuthorityPtr& authority : authorities_) {
      if (authority->id == step.id) {
        Withdraw(*authority, updated);
        change.forget.push_back(step.id);
      }
    }
  }
  if (updated != bundle) {
    updated.sequence_number = bundle.sequence_number.value_or(0) + 1;
    change.bundle = std::move(updated);
  }
  return change;
}

void CertificateAuthority::Apply(const Change& change) {
  for (const SigningAuthority& authority : change.put) {
    Put(authority);
  }
  std::erase_if(authorities_, [&](const SigningAuthorityPtr& authority) {
    return std::find(change.forget.begin(), change.forget.end(), authority->id) !=
           change.forget.end();
  });
}

void CertificateAuthority::Put(SigningAuthority authority) {
  std::erase_if(authorities_,
                [&](const SigningAuthorityPtr& other) { return other->id == authority.id; });
  authorities_.push_back(std::make_shared<const SigningAuthority>(std::move(authority)));
}

std::string_view ToString(CertificateAuthority::Action action) {
  switch (action) {
    case CertificateAuthority::Action::kPrepare:
      return "prepare";
    case CertificateAuthority::Action::kActivate:
      return "activate";
    case CertificateAuthority::Action::kForget:
      return "forget";
  }
  return "";
}

std::string_view ToString(Kind kind) { return kind == Kind::kX509 ? "x509" : "jwt"; }

}  // namespace assay
