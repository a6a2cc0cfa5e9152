// SPDX-License-Identifier: GPL-3.0-or-later
// The signing authorities together, and when each is to be replaced: the next is prepared half a
// life (at most 30 days) before the active one ends, so that it is known everywhere when it becomes
// active a sixth of a life (at most 7 days) before that end; an ended one is published for 24 hours
// more. Owned by the loop's thread.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "authority/signing_authority.h"
#include "spiffe/trust_bundle.h"

namespace assay {

class CertificateAuthority final {
 public:
  enum class Action { kPrepare, kActivate, kForget };
  struct Step {
    Action action;
    SigningAuthority::Kind kind;
    std::string id;  // Of what to activate or forget.
  };
  // What a step changes, on disk first and then here.
  struct Change {
    std::vector<SigningAuthority> put;
    std::vector<std::string> forget;
    std::optional<TrustBundle> bundle;  // The own bundle, when it changes.
  };

  // Those of other kinds it leaves as they are, until they have ended.
  explicit CertificateAuthority(std::vector<SigningAuthority::Kind> kinds)
      : kinds_(std::move(kinds)) {}

  // Null when there is none.
  SigningAuthorityPtr Active(SigningAuthority::Kind kind) const;
  // What is due at this time; nothing when all is settled.
  std::optional<Step> NextStep(absl::Time now) const;
  // The change that a step makes; made is the new authority of a preparation.
  Change Plan(const Step& step, std::optional<SigningAuthority> made,
              const TrustBundle& bundle) const;
  // Takes the change over, but for its bundle.
  void Apply(const Change& change);
  void Put(SigningAuthority authority);

 private:
  SigningAuthorityPtr Find(SigningAuthority::Kind kind, SigningAuthority::Stage stage) const;

  const std::vector<SigningAuthority::Kind> kinds_;
  std::vector<SigningAuthorityPtr> authorities_;
};

// What to log a step as.
std::string_view ToString(CertificateAuthority::Action action);
std::string_view ToString(SigningAuthority::Kind kind);

}  // namespace assay
