// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/store.h"

#include <array>

#include "authority/agent_convert.h"
#include "authority/bundle_convert.h"
#include "authority/entry_convert.h"

namespace assay {
namespace {

// The n-th brings a file from version n to n + 1. Released ones never change; new ones are added.
constexpr std::array<const char*, 2> kMigrations = {R"sql(
  CREATE TABLE trust_domain (name TEXT NOT NULL);
  CREATE TABLE entries (id TEXT PRIMARY KEY, entry BLOB NOT NULL);
  CREATE TABLE nodes (id TEXT PRIMARY KEY, node BLOB NOT NULL, pending_serial TEXT NOT NULL,
                      pending_expires_at INTEGER NOT NULL);
  CREATE TABLE tokens (digest BLOB PRIMARY KEY, expires_at INTEGER NOT NULL);
  CREATE TABLE bundles (trust_domain TEXT PRIMARY KEY, bundle BLOB NOT NULL);
  CREATE TABLE authorities (id TEXT PRIMARY KEY, kind INTEGER NOT NULL, stage INTEGER NOT NULL,
                            certificate BLOB NOT NULL, public_key BLOB NOT NULL,
                            issued_at INTEGER NOT NULL, expires_at INTEGER NOT NULL);
)sql",
                                                    R"sql(
  ALTER TABLE tokens ADD COLUMN alias TEXT NOT NULL DEFAULT '';
)sql"};

// Calls take with each row of a query.
template <typename Take>
absl::Status ForEachRow(Database& database, std::string_view query, Take take) {
  ASSIGN_OR_RETURN(Statement select, database.Prepare(query));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) {
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(take(select));
  }
}

absl::StatusOr<JoinToken> ReadToken(const Statement& row) {
  JoinToken token{.digest = row.Blob(0), .expires_at = row.Integer(1)};
  if (const std::string alias = row.Text(2); !alias.empty()) {
    absl::StatusOr<SpiffeId> id = SpiffeId::Parse(alias);
    if (!id.ok()) {
      return DataLoss("stored alias of a join token: {}", Message(id.status()));
    }
    token.alias = *std::move(id);
  }
  return token;
}

absl::StatusOr<SigningAuthority> ReadAuthority(const Statement& row) {
  ASSIGN_OR_RETURN(crypto::PublicKey public_key, crypto::PublicKey::ParseSpki(row.Blob(4)));
  SigningAuthority authority{.kind = static_cast<SigningAuthority::Kind>(row.Integer(1)),
                             .stage = static_cast<SigningAuthority::Stage>(row.Integer(2)),
                             .id = row.Text(0),
                             .public_key = std::move(public_key),
                             .issued_at = absl::FromUnixSeconds(row.Integer(5)),
                             .expires_at = absl::FromUnixSeconds(row.Integer(6))};
  if (authority.kind == SigningAuthority::Kind::kX509) {
    ASSIGN_OR_RETURN(authority.certificate, crypto::Certificate::Parse(row.Blob(3)));
  }
  return authority;
}

}  // namespace

struct Store::Statements {
  Statement put_entry, erase_entry;
  Statement put_node, erase_node;
  Statement put_token, erase_token;
  Statement put_bundle, erase_bundle;
  Statement put_authority, erase_authority;
};

void Store::DeleteStatements::operator()(Statements* statements) const { delete statements; }

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& path,
                                                   const TrustDomain& trust_domain) {
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database, Database::Open(path));
  std::unique_ptr<Store> store(new Store(std::move(database)));
  for (const auto& step : std::array<std::function<absl::Status()>, 3>{
           [&] { return store->InTransaction([&] { return store->Migrate(); }); },
           [&] { return store->BelongTo(trust_domain); }, [&] { return store->Prepare(); }}) {
    if (absl::Status done = step(); !done.ok()) {
      return WithContext(done, path);
    }
  }
  return store;
}

absl::Status Store::Migrate() {
  ASSIGN_OR_RETURN(int64_t version, database_->UserVersion());
  constexpr auto kNewest = static_cast<int64_t>(kMigrations.size());
  if (version < 0 || version > kNewest) {
    return FailedPrecondition(
        "the database has version {} and this authority knows up to {}: run the newer one", version,
        kNewest);
  }
  for (; version < kNewest; ++version) {
    RETURN_IF_ERROR(database_->Execute(kMigrations[static_cast<size_t>(version)]));
  }
  return database_->Execute(fmt::format("PRAGMA user_version = {}", kNewest));
}

absl::Status Store::BelongTo(const TrustDomain& trust_domain) {
  ASSIGN_OR_RETURN(Statement select, database_->Prepare("SELECT name FROM trust_domain"));
  ASSIGN_OR_RETURN(const bool row, select.Step());
  if (!row) {
    ASSIGN_OR_RETURN(Statement insert, database_->Prepare("INSERT INTO trust_domain VALUES (?)"));
    return insert.BindText(1, trust_domain.name()).Run();
  }
  if (const std::string name = select.Text(0); name != trust_domain.name()) {
    return FailedPrecondition(
        "the database is of trust domain {}, not {}: use another data_dir for another trust domain",
        Quoted(name), trust_domain.name());
  }
  return absl::OkStatus();
}

absl::Status Store::Prepare() {
  const auto prepare = [this](std::string_view sql) { return database_->Prepare(sql); };
  ASSIGN_OR_RETURN(auto put_entry, prepare("REPLACE INTO entries VALUES (?, ?)"));
  ASSIGN_OR_RETURN(auto erase_entry, prepare("DELETE FROM entries WHERE id = ?"));
  ASSIGN_OR_RETURN(auto put_node, prepare("REPLACE INTO nodes VALUES (?, ?, ?, ?)"));
  ASSIGN_OR_RETURN(auto erase_node, prepare("DELETE FROM nodes WHERE id = ?"));
  ASSIGN_OR_RETURN(auto put_token, prepare("REPLACE INTO tokens VALUES (?, ?, ?)"));
  ASSIGN_OR_RETURN(auto erase_token, prepare("DELETE FROM tokens WHERE digest = ?"));
  ASSIGN_OR_RETURN(auto put_bundle, prepare("REPLACE INTO bundles VALUES (?, ?)"));
  ASSIGN_OR_RETURN(auto erase_bundle, prepare("DELETE FROM bundles WHERE trust_domain = ?"));
  ASSIGN_OR_RETURN(auto put_authority,
                   prepare("REPLACE INTO authorities VALUES (?, ?, ?, ?, ?, ?, ?)"));
  ASSIGN_OR_RETURN(auto erase_authority, prepare("DELETE FROM authorities WHERE id = ?"));
  statements_.reset(new Statements{
      std::move(put_entry), std::move(erase_entry), std::move(put_node), std::move(erase_node),
      std::move(put_token), std::move(erase_token), std::move(put_bundle), std::move(erase_bundle),
      std::move(put_authority), std::move(erase_authority)});
  return absl::OkStatus();
}

absl::StatusOr<Store::Contents> Store::Load() {
  Contents contents;
  RETURN_IF_ERROR(ForEachRow(*database_, "SELECT entry FROM entries", [&](Statement& row) {
    absl::StatusOr<RegistrationEntry> entry = DecodeEntry(row.Blob(0));
    if (entry.ok()) {
      contents.entries.push_back(*std::move(entry));
    }
    return entry.status();
  }));
  RETURN_IF_ERROR(ForEachRow(*database_,
                             "SELECT node, pending_serial, pending_expires_at FROM nodes",
                             [&](Statement& row) {
                               absl::StatusOr<Node> node = DecodeNode(row.Blob(0));
                               if (node.ok()) {
                                 node->pending_serial = row.Text(1);
                                 node->pending_expires_at = row.Integer(2);
                                 contents.nodes.push_back(*std::move(node));
                               }
                               return node.status();
                             }));
  RETURN_IF_ERROR(
      ForEachRow(*database_, "SELECT digest, expires_at, alias FROM tokens", [&](Statement& row) {
        absl::StatusOr<JoinToken> token = ReadToken(row);
        if (token.ok()) {
          contents.tokens.push_back(*std::move(token));
        }
        return token.status();
      }));
  RETURN_IF_ERROR(ForEachRow(*database_, "SELECT bundle FROM bundles", [&](Statement& row) {
    absl::StatusOr<TrustBundle> bundle = DecodeBundle(row.Blob(0));
    if (bundle.ok()) {
      contents.bundles.push_back(*std::move(bundle));
    }
    return bundle.status();
  }));
  RETURN_IF_ERROR(LoadAuthorities(contents.authorities));
  return contents;
}

absl::Status Store::LoadAuthorities(std::vector<SigningAuthority>& authorities) {
  return ForEachRow(
      *database_,
      "SELECT id, kind, stage, certificate, public_key, issued_at, expires_at FROM authorities",
      [&](Statement& row) -> absl::Status {
        absl::StatusOr<SigningAuthority> authority = ReadAuthority(row);
        if (!authority.ok()) {
          return DataLoss("stored signing authority {}: {}", Quoted(row.Text(0)),
                          Message(authority.status()));
        }
        authorities.push_back(*std::move(authority));
        return absl::OkStatus();
      });
}

absl::Status Store::InTransaction(const std::function<absl::Status()>& work) {
  return database_->InTransaction(work);
}

absl::Status Store::Put(const RegistrationEntry& entry) {
  return statements_->put_entry.BindText(1, entry.id).BindBlob(2, EncodeEntry(entry)).Run();
}

absl::Status Store::Put(const Node& node) {
  return statements_->put_node.BindText(1, node.id.ToString())
      .BindBlob(2, EncodeNode(node))
      .BindText(3, node.pending_serial)
      .BindInteger(4, node.pending_expires_at)
      .Run();
}

absl::Status Store::Put(const JoinToken& token) {
  return statements_->put_token.BindBlob(1, token.digest)
      .BindInteger(2, token.expires_at)
      .BindText(3, token.alias.has_value() ? token.alias->ToString() : "")
      .Run();
}

absl::Status Store::Put(const TrustBundle& bundle) {
  return statements_->put_bundle.BindText(1, bundle.trust_domain.name())
      .BindBlob(2, EncodeBundle(bundle))
      .Run();
}

absl::Status Store::Put(const SigningAuthority& authority) {
  return statements_->put_authority.BindText(1, authority.id)
      .BindInteger(2, static_cast<int64_t>(authority.kind))
      .BindInteger(3, static_cast<int64_t>(authority.stage))
      .BindBlob(4, authority.certificate.has_value() ? authority.certificate->der() : "")
      .BindBlob(5, authority.public_key.spki())
      .BindInteger(6, absl::ToUnixSeconds(authority.issued_at))
      .BindInteger(7, absl::ToUnixSeconds(authority.expires_at))
      .Run();
}

absl::Status Store::EraseEntry(std::string_view id) {
  return statements_->erase_entry.BindText(1, id).Run();
}

absl::Status Store::EraseNode(const SpiffeId& id) {
  return statements_->erase_node.BindText(1, id.ToString()).Run();
}

absl::Status Store::EraseToken(std::string_view digest) {
  return statements_->erase_token.BindBlob(1, digest).Run();
}

absl::Status Store::EraseBundle(const TrustDomain& trust_domain) {
  return statements_->erase_bundle.BindText(1, trust_domain.name()).Run();
}

absl::Status Store::EraseAuthority(std::string_view id) {
  return statements_->erase_authority.BindText(1, id).Run();
}

}  // namespace assay
