// SPDX-License-Identifier: GPL-3.0-or-later
// entry create and update.
#include <algorithm>
#include <ostream>

#include "authority/cli_client.h"
#include "authority/cli_command.h"
#include "authority/cli_entry_file.h"
#include "authority/cli_output.h"
#include "base/grpc_text.h"
#include "spire/api/server/entry/v1/entry.grpc.pb.h"

namespace assay {
namespace {

namespace types = spire::api::types;
namespace entry_api = spire::api::server::entry::v1;
using EntryStub = entry_api::Entry::Stub;

// A request and its answer stay well below gRPC's limit of 4 MiB for a message.
constexpr size_t kMaxBatchBytes = 1 << 20;
constexpr int kMaxBatchItems = 1000;

// The flags that describe an entry.
struct EntryFlags {
  std::string entry_id, parent_id, spiffe_id, data, hint;
  std::vector<std::string> selectors, federates_with, dns_names;
  int64_t x509_svid_ttl = 0;
  int64_t jwt_svid_ttl = 0;
  int64_t expires_at = 0;
  bool admin = false;
  bool downstream = false;
  bool store_svid = false;
  bool disable_prefetch = false;
  bool include_jti = false;

  void AddTo(Arguments& flags);
  absl::StatusOr<types::Entry> ToEntry() const;
};

void EntryFlags::AddTo(Arguments& flags) {
  flags.Add("parentID", parent_id, "The SPIFFE ID of this record's parent");
  flags.Add("spiffeID", spiffe_id, "The SPIFFE ID that this record represents");
  flags.Add("x509SVIDTTL", x509_svid_ttl,
            "The lifetime, in seconds, of X509-SVIDs of this entry (0: the upstream's default)");
  flags.Add("jwtSVIDTTL", jwt_svid_ttl,
            "The lifetime, in seconds, of JWT-SVIDs of this entry (0: the upstream's default)");
  flags.Add("data", data, "Path to a JSON file with many entries, or '-' for standard input");
  flags.Add("selector", selectors, "A selector, type:value. Can be used more than once");
  flags.Add("federatesWith", federates_with,
            "SPIFFE ID of a trust domain to federate with. Can be used more than once");
  flags.Add("admin", admin, "The workload may call the upstream's management APIs");
  flags.Add("downstream", downstream, "The entry describes a nested upstream");
  flags.Add("storeSVID", store_svid, "The SVID is for an SVID store of the agent");
  flags.Add("entryExpiry", expires_at, "When the entry ends, in seconds since 1970 (0: never)");
  flags.Add("dns", dns_names, "A DNS name of the X509-SVID. Can be used more than once");
  flags.Add("hint", hint, "Tells a workload with several identities what this one is for");
  flags.Add("disableX509SVIDPrefetch", disable_prefetch,
            "The agent makes the X509-SVID only when a workload asks");
  flags.Add("jwtSVIDIncludeJTI", include_jti,
            "JWT-SVIDs carry a unique 'jti' claim and are not cached by the agent");
}

absl::StatusOr<types::Entry> EntryFlags::ToEntry() const {
  types::Entry entry;
  entry.set_id(entry_id);
  ASSIGN_OR_RETURN(*entry.mutable_spiffe_id(), ParseIdFlag(spiffe_id));
  ASSIGN_OR_RETURN(*entry.mutable_parent_id(), ParseIdFlag(parent_id));
  ASSIGN_OR_RETURN(const int32_t x509_ttl, ToInt32(x509_svid_ttl, "X509 SVID TTL"));
  ASSIGN_OR_RETURN(const int32_t jwt_ttl, ToInt32(jwt_svid_ttl, "JWT SVID TTL"));
  entry.set_x509_svid_ttl(x509_ttl);
  entry.set_jwt_svid_ttl(jwt_ttl);
  for (const std::string& text : selectors) {
    ASSIGN_OR_RETURN(*entry.add_selectors(), ParseSelectorFlag(text));
  }
  entry.mutable_federates_with()->Assign(federates_with.begin(), federates_with.end());
  entry.mutable_dns_names()->Assign(dns_names.begin(), dns_names.end());
  entry.set_hint(hint);
  entry.set_expires_at(expires_at);
  entry.set_admin(admin);
  entry.set_downstream(downstream);
  entry.set_store_svid(store_svid);
  if (disable_prefetch || include_jti) {
    entry.mutable_additional_attributes()->set_disable_x509_svid_prefetch(disable_prefetch);
    entry.mutable_additional_attributes()->set_jwt_svid_include_jti(include_jti);
  }
  return entry;
}

absl::Status CheckTtls(const EntryFlags& flags) {
  if (flags.x509_svid_ttl < 0) {
    return InvalidArgument("a positive x509-SVID TTL is required");
  }
  if (flags.jwt_svid_ttl < 0) {
    return InvalidArgument("a positive JWT-SVID TTL is required");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<types::Entry>> LoadEntries(const std::string& path,
                                                      const CliContext& context) {
  ASSIGN_OR_RETURN(const std::string text, ReadEntryFile(path, context.streams.in));
  return ParseEntries(text);
}

// Sends the entries in batches and gathers the results, giving each that failed the entry that was
// sent, which the answer leaves out. When a call fails, `all` holds what was done before it.
template <typename Request, typename Response>
absl::Status SendEntries(ApiClient& api,
                         grpc::Status (EntryStub::*method)(grpc::ClientContext*, const Request&,
                                                           Response*),
                         const std::vector<types::Entry>& entries, Response& all) {
  for (auto next = entries.begin(); next != entries.end();) {
    Request request;
    size_t bytes = 0;
    const auto first = next;
    for (; next != entries.end() && request.entries_size() < kMaxBatchItems; ++next) {
      bytes += next->ByteSizeLong();
      if (bytes > kMaxBatchBytes && next != first) {
        break;
      }
      *request.add_entries() = *next;
    }
    ASSIGN_OR_RETURN(Response response, api.Call(method, request));
    if (response.results_size() != request.entries_size()) {
      return Internal("upstream answered {} results for {} entries", response.results_size(),
                      request.entries_size());
    }
    for (int i = 0; i < response.results_size(); ++i) {
      auto& result = *all.add_results();
      result.Swap(response.mutable_results(i));
      if (result.status().code() != 0) {
        result.mutable_entry()->Swap(request.mutable_entries(i));
      }
    }
  }
  return absl::OkStatus();
}

// Prints the results of a batch and says whether all went well. A status of the call itself is
// returned after what was done before it.
template <typename Response>
absl::Status PrintResults(const CliContext& context, const Response& response,
                          const absl::Status& called, std::string_view verb) {
  if (!called.ok() && response.results().empty()) {
    return called;
  }
  const CliStreams& streams = context.streams;
  if (context.format == OutputFormat::kJson) {
    streams.out << ToJsonLine(response);
    return called;
  }
  bool failed = false;
  for (const auto& result : response.results()) {
    if (result.status().code() == 0) {
      streams.out << EntryText(result.entry());
      continue;
    }
    failed = true;
    streams.err << fmt::format("Failed to {} the following entry (code: {}, msg: {}):\n", verb,
                               GrpcCodeName(result.status().code()),
                               GoQuoted(result.status().message()))
                << EntryText(result.entry());
  }
  RETURN_IF_ERROR(called);
  return failed ? InvalidArgument("failed to {} one or more entries", verb) : absl::OkStatus();
}

class CreateEntry final : public CliCommand {
 public:
  void AddFlags(Arguments& flags) override {
    fields_.AddTo(flags);
    flags.Add("entryID", fields_.entry_id, "The ID of the entry; made by the upstream if not set");
    flags.Add("node", node_, "The entry is an alias of matching nodes, and not for workloads");
  }

  absl::Status Run(const CliContext& context) override {
    ASSIGN_OR_RETURN(const auto entries, Entries(context));
    entry_api::BatchCreateEntryResponse response;
    const absl::Status called =
        SendEntries(context.api, &EntryStub::BatchCreateEntry, entries, response);
    return PrintResults(context, response, called, "create");
  }

 private:
  absl::Status Check() const {
    if (fields_.selectors.empty()) {
      return InvalidArgument("at least one selector is required");
    }
    if (node_ && !fields_.federates_with.empty()) {
      return InvalidArgument("node entries can not federate");
    }
    if (!node_ && fields_.parent_id.empty()) {
      return InvalidArgument("a parent ID is required if the node flag is not set");
    }
    if (fields_.spiffe_id.empty()) {
      return InvalidArgument("a SPIFFE ID is required");
    }
    return CheckTtls(fields_);
  }

  absl::StatusOr<std::vector<types::Entry>> Entries(const CliContext& context) {
    if (!fields_.data.empty()) {
      return LoadEntries(fields_.data, context);
    }
    RETURN_IF_ERROR(Check());
    if (node_) {
      ASSIGN_OR_RETURN(const types::SPIFFEID id, ParseIdFlag(fields_.spiffe_id));
      fields_.parent_id = "spiffe://" + id.trust_domain() + "/spire/server";
    }
    ASSIGN_OR_RETURN(types::Entry entry, fields_.ToEntry());
    return std::vector<types::Entry>{std::move(entry)};
  }

  EntryFlags fields_;
  bool node_ = false;
};

class UpdateEntry final : public CliCommand {
 public:
  void AddFlags(Arguments& flags) override {
    fields_.AddTo(flags);
    flags.Add("entryID", fields_.entry_id, "The ID of the entry to update");
    flags_ = &flags;
  }

  absl::Status Run(const CliContext& context) override {
    ASSIGN_OR_RETURN(const auto entries, Entries(context));
    entry_api::BatchUpdateEntryResponse response;
    const absl::Status called =
        SendEntries(context.api, &EntryStub::BatchUpdateEntry, entries, response);
    return PrintResults(context, response, called, "update");
  }

 private:
  absl::Status Check() const {
    if (fields_.entry_id.empty()) {
      return InvalidArgument("entry ID is required");
    }
    if (fields_.selectors.empty()) {
      return InvalidArgument("at least one selector is required");
    }
    if (fields_.parent_id.empty()) {
      return InvalidArgument("a parent ID is required");
    }
    if (fields_.spiffe_id.empty()) {
      return InvalidArgument("a SPIFFE ID is required");
    }
    return CheckTtls(fields_);
  }

  absl::StatusOr<std::vector<types::Entry>> Entries(const CliContext& context) {
    if (!fields_.data.empty()) {
      return LoadEntries(fields_.data, context);
    }
    RETURN_IF_ERROR(Check());
    ASSIGN_OR_RETURN(types::Entry entry, fields_.ToEntry());
    RETURN_IF_ERROR(MergeAttributes(context.api, entry));
    return std::vector<types::Entry>{std::move(entry)};
  }

  // The wire replaces the additional attributes as a whole, so one that no flag speaks of is kept
  // by asking for the entry as it stands.
  absl::Status MergeAttributes(ApiClient& api, types::Entry& entry) const {
    const bool prefetch = flags_->WasSet("disableX509SVIDPrefetch");
    const bool jti = flags_->WasSet("jwtSVIDIncludeJTI");
    if (!prefetch && !jti) {
      return absl::OkStatus();
    }
    entry_api::GetEntryRequest request;
    request.set_id(entry.id());
    const auto existing = api.Call(&EntryStub::GetEntry, request);
    if (!existing.ok()) {
      return WithContext(existing.status(),
                         "failed to fetch existing entry to merge additional attributes");
    }
    *entry.mutable_additional_attributes() = existing->additional_attributes();
    if (prefetch) {
      entry.mutable_additional_attributes()->set_disable_x509_svid_prefetch(
          fields_.disable_prefetch);
    }
    if (jti) {
      entry.mutable_additional_attributes()->set_jwt_svid_include_jti(fields_.include_jti);
    }
    return absl::OkStatus();
  }

  EntryFlags fields_;
  const Arguments* flags_ = nullptr;
};

}  // namespace

std::vector<CliEntry> EntryCommands() {
  return {
      {"entry", "create", "Creates registration entries", &MakeCommand<CreateEntry>},
      {"entry", "update", "Updates registration entries", &MakeCommand<UpdateEntry>},
  };
}

}  // namespace assay
