// SPDX-License-Identifier: GPL-3.0-or-later
// The authority's state on disk: registration entries, nodes, join tokens, trust bundles and the
// public halves of signing authorities, in one SQLite file that belongs to one trust domain. Not
// thread-safe: after the start it is the storage thread's.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "authority/database.h"
#include "authority/nodes.h"
#include "authority/signing_authority.h"
#include "base/status.h"
#include "spiffe/registration_entry.h"
#include "spiffe/trust_bundle.h"

namespace assay {

class Store final {
 public:
  // Everything there is. The signing authorities have no keys: those are in the KeyFolder.
  struct Contents {
    std::vector<RegistrationEntry> entries;
    std::vector<Node> nodes;
    std::vector<JoinToken> tokens;
    std::vector<TrustBundle> bundles;
    std::vector<SigningAuthority> authorities;
  };

  // Opens or makes the file and brings its tables to this version's form. FailedPrecondition when
  // it is another trust domain's, or of a later version; DataLoss when it is damaged.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& path,
                                                     const TrustDomain& trust_domain);
  absl::StatusOr<Contents> Load();

  // Keeps all that work wrote when it is OK, and nothing of it otherwise.
  absl::Status InTransaction(const std::function<absl::Status()>& work);

  // Each adds, or replaces what has the same ID.
  absl::Status Put(const RegistrationEntry& entry);
  absl::Status Put(const Node& node);
  absl::Status Put(const JoinToken& token);
  absl::Status Put(const TrustBundle& bundle);
  absl::Status Put(const SigningAuthority& authority);
  // Absent ones are no error.
  absl::Status EraseEntry(std::string_view id);
  absl::Status EraseNode(const SpiffeId& id);
  absl::Status EraseToken(std::string_view digest);
  absl::Status EraseBundle(const TrustDomain& trust_domain);
  absl::Status EraseAuthority(std::string_view id);

 private:
  explicit Store(std::unique_ptr<Database> database) : database_(std::move(database)) {}
  absl::Status Migrate();
  absl::Status BelongTo(const TrustDomain& trust_domain);
  absl::Status Prepare();
  absl::Status LoadAuthorities(std::vector<SigningAuthority>& authorities);

  const std::unique_ptr<Database> database_;
  // Prepared once; the database outlives them.
  struct Statements;
  struct DeleteStatements {
    void operator()(Statements* statements) const;
  };
  std::unique_ptr<Statements, DeleteStatements> statements_;
};

}  // namespace assay
