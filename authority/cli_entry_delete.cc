// SPDX-License-Identifier: GPL-3.0-or-later
// entry delete.
#include <ostream>

#include "authority/cli_client.h"
#include "authority/cli_command.h"
#include "authority/cli_entry_file.h"
#include "authority/cli_output.h"
#include "base/grpc_text.h"
#include "spire/api/server/entry/v1/entry.grpc.pb.h"

namespace assay {
namespace {

namespace entry_api = spire::api::server::entry::v1;
using EntryStub = entry_api::Entry::Stub;

// A request and its answer stay well below gRPC's limit of 4 MiB for a message.
constexpr int kMaxBatchItems = 1000;

class DeleteEntry final : public CliCommand {
 public:
  void AddFlags(Arguments& flags) override {
    flags.Add("entryID", entry_id_, "The ID of the entry to delete");
    flags.Add("file", file_, "Path to a JSON file with many IDs, or '-' for standard input");
  }

  absl::Status Run(const CliContext& context) override {
    std::vector<std::string> ids = {entry_id_};
    if (!file_.empty()) {
      ASSIGN_OR_RETURN(const std::string text, ReadEntryFile(file_, context.streams.in));
      ASSIGN_OR_RETURN(ids, ParseEntryIds(text));
    } else if (entry_id_.empty()) {
      return InvalidArgument("an entry ID is required");
    }
    entry_api::BatchDeleteEntryResponse all;
    const absl::Status called = Send(context.api, ids, all);
    if (!called.ok() && all.results().empty()) {
      return called;
    }
    if (context.format == OutputFormat::kJson) {
      context.streams.out << ToJsonLine(all);
      return called;
    }
    const absl::Status printed = Print(all, context.streams);
    return called.ok() ? printed : called;
  }

 private:
  static absl::Status Send(ApiClient& api, const std::vector<std::string>& ids,
                           entry_api::BatchDeleteEntryResponse& all) {
    for (size_t next = 0; next < ids.size();) {
      entry_api::BatchDeleteEntryRequest request;
      for (; next < ids.size() && request.ids_size() < kMaxBatchItems; ++next) {
        request.add_ids(ids[next]);
      }
      ASSIGN_OR_RETURN(auto response, api.Call(&EntryStub::BatchDeleteEntry, request));
      all.MergeFrom(response);
    }
    return absl::OkStatus();
  }

  static absl::Status Print(const entry_api::BatchDeleteEntryResponse& response,
                            const CliStreams& streams) {
    size_t deleted = 0;
    for (const auto& result : response.results()) {
      if (result.status().code() == 0) {
        streams.out << fmt::format("Deleted entry with ID: {}\n", result.id());
        ++deleted;
      } else {
        streams.err << fmt::format("Failed to delete entry with ID {} (code: {}, msg: {})\n",
                                   result.id(), GrpcCodeName(result.status().code()),
                                   GoQuoted(result.status().message()));
      }
    }
    streams.out << (deleted > 0 ? "\n\n" : "");
    const size_t failed = static_cast<size_t>(response.results_size()) - deleted;
    if (failed == 0) {
      streams.out << fmt::format("Deleted {} entries successfully\n", deleted);
      return absl::OkStatus();
    }
    streams.out << (deleted == 0
                        ? fmt::format("\n\nFailed to delete {} entries\n", failed)
                        : fmt::format("\n\nDeleted {} entries successfully, but failed to delete "
                                      "{} entries\n",
                                      deleted, failed));
    return InvalidArgument("failed to delete one or more entries");
  }

  std::string entry_id_, file_;
};

}  // namespace

std::vector<CliEntry> EntryDeleteCommands() {
  return {{"entry", "delete", "Deletes registration entries", &MakeCommand<DeleteEntry>}};
}

}  // namespace assay
