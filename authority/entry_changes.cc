// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/entry_changes.h"

#include "authority/entry_convert.h"
#include "authority/id_convert.h"
#include "authority/uuid.h"
#include "spire/api/server/entry/v1/entry.pb.h"

namespace assay {

namespace entry = spire::api::server::entry::v1;
namespace types = spire::api::types;

namespace {

// One batch between its plan and its answer.
template <typename Response>
struct Batch {
  Response response;
  std::vector<RegistrationEntry> put;
  std::vector<std::string> erase;
};

template <typename Response>
ChangeQueue::Write WriteOf(std::shared_ptr<const Batch<Response>> batch) {
  if (batch->put.empty() && batch->erase.empty()) {
    return nullptr;
  }
  return [batch](Store& store) {
    for (const RegistrationEntry& changed : batch->put) {
      RETURN_IF_ERROR(store.Put(changed));
    }
    for (const std::string& id : batch->erase) {
      RETURN_IF_ERROR(store.EraseEntry(id));
    }
    return absl::OkStatus();
  };
}

// Plans each item with plan_one, writes the batch, takes it over and answers.
template <typename Response, typename PlanAll>
void Change(State& state, PlanAll plan_all, const rpc::Responder& responder) {
  const auto batch = std::make_shared<Batch<Response>>();
  state.changes.Add({.plan = [batch, plan_all]() -> absl::StatusOr<ChangeQueue::Write> {
                       plan_all(*batch);
                       return WriteOf<Response>(batch);
                     },
                     .done =
                         [&state, batch, responder](const absl::Status& outcome) {
                           if (!outcome.ok()) {
                             responder.Fail(outcome);
                             return;
                           }
                           for (RegistrationEntry& changed : batch->put) {
                             state.entries.Put(std::move(changed));
                           }
                           for (const std::string& id : batch->erase) {
                             state.entries.Erase(id);
                           }
                           responder.Reply(batch->response);
                         }});
}

// What holds whether the entry is new or changed.
absl::Status CheckStorable(const State& state, const RegistrationEntry& candidate) {
  RETURN_IF_ERROR(Validate(candidate));
  for (const TrustDomain& other : candidate.federates_with) {
    if (state.bundles.Find(other) == nullptr) {
      return Internal("unable to find federated bundle \"{}\"", other.IdString());
    }
  }
  return absl::OkStatus();
}

// Creates of one batch see each other.
class Creation final {
 public:
  explicit Creation(const State& state) : state_(state), fresh_(state.options.trust_domain) {}

  // The outcome, and the entry when there is one, new or similar.
  std::pair<absl::Status, EntryPtr> Create(const types::Entry& sent);
  std::vector<RegistrationEntry> Take();

 private:
  const State& state_;
  EntrySet fresh_;
};

std::pair<absl::Status, EntryPtr> Creation::Create(const types::Entry& sent) {
  absl::StatusOr<RegistrationEntry> parsed = ParseEntry(state_.options.trust_domain, sent);
  if (!parsed.ok()) {
    return {
        ApiError(absl::StatusCode::kInvalidArgument, "failed to convert entry", parsed.status()),
        nullptr};
  }
  if (parsed->id.empty()) {
    parsed->id = RandomUuid();
  }
  if (const absl::Status storable = CheckStorable(state_, *parsed); !storable.ok()) {
    return {ApiError(storable.code(), "failed to create entry", storable), nullptr};
  }
  for (const EntrySet* existing : {&state_.entries, static_cast<const EntrySet*>(&fresh_)}) {
    if (const EntryPtr similar = existing->FindSimilar(*parsed)) {
      return {absl::AlreadyExistsError("similar entry already exists"), similar};
    }
    if (existing->Find(parsed->id) != nullptr) {
      return {absl::AlreadyExistsError("failed to create entry: another entry has this ID already"),
              nullptr};
    }
  }
  parsed->created_at = state_.UnixNow();
  const std::string id = parsed->id;
  fresh_.Put(*std::move(parsed));
  return {absl::OkStatus(), fresh_.Find(id)};
}

std::vector<RegistrationEntry> Creation::Take() {
  std::vector<RegistrationEntry> created;
  for (const auto& [id, made] : fresh_.all()) {
    created.push_back(*made);
  }
  return created;
}

absl::StatusOr<RegistrationEntry> Update(const State& state, const RegistrationEntry& current,
                                         const types::Entry& sent, const types::EntryMask& mask) {
  absl::StatusOr<RegistrationEntry> updated = ApplyUpdate(current, sent, mask);
  if (!updated.ok()) {
    return ApiError(absl::StatusCode::kInvalidArgument, "failed to convert entry",
                    updated.status());
  }
  if (const absl::Status storable = CheckStorable(state, *updated); !storable.ok()) {
    return ApiError(storable.code(), "failed to update entry", storable);
  }
  ++updated->revision_number;
  return updated;
}

}  // namespace

void CreateEntries(State& state, const entry::BatchCreateEntryRequest& request,
                   const rpc::Responder& responder) {
  using Response = entry::BatchCreateEntryResponse;
  Change<Response>(
      state,
      [&state, request](Batch<Response>& batch) {
        const auto& mask = request.has_output_mask() ? request.output_mask() : AllOfEntry();
        Creation creation(state);
        for (const types::Entry& sent : request.entries()) {
          const auto [outcome, made] = creation.Create(sent);
          auto* result = batch.response.add_results();
          ToProto(outcome, result->mutable_status());
          if (made != nullptr) {
            ToProto(*made, mask, result->mutable_entry());
          }
        }
        batch.put = creation.Take();
      },
      responder);
}

void UpdateEntries(State& state, const entry::BatchUpdateEntryRequest& request,
                   const rpc::Responder& responder) {
  using Response = entry::BatchUpdateEntryResponse;
  Change<Response>(
      state,
      [&state, request](Batch<Response>& batch) {
        const auto& output = request.has_output_mask() ? request.output_mask() : AllOfEntry();
        const auto& input = request.has_input_mask() ? request.input_mask() : AllOfEntry();
        std::map<std::string, RegistrationEntry> changed;  // An entry may be updated twice.
        for (const types::Entry& sent : request.entries()) {
          auto* result = batch.response.add_results();
          const auto before = changed.find(sent.id());
          const EntryPtr current = before != changed.end()
                                       ? std::make_shared<const RegistrationEntry>(before->second)
                                       : state.entries.Find(sent.id());
          if (current == nullptr) {
            ToProto(NotFound("failed to update entry"), result->mutable_status());
            continue;
          }
          const absl::StatusOr<RegistrationEntry> updated = Update(state, *current, sent, input);
          ToProto(updated.status(), result->mutable_status());
          if (updated.ok()) {
            ToProto(*updated, output, result->mutable_entry());
            changed.insert_or_assign(updated->id, *updated);
          }
        }
        for (auto& [id, last] : changed) {
          batch.put.push_back(std::move(last));
        }
      },
      responder);
}

void DeleteEntries(State& state, const entry::BatchDeleteEntryRequest& request,
                   const rpc::Responder& responder) {
  using Response = entry::BatchDeleteEntryResponse;
  Change<Response>(
      state,
      [&state, request](Batch<Response>& batch) {
        for (const std::string& id : request.ids()) {
          auto* result = batch.response.add_results();
          result->set_id(id);
          if (id.empty()) {
            ToProto(InvalidArgument("missing entry ID"), result->mutable_status());
          } else if (state.entries.Find(id) == nullptr) {
            ToProto(NotFound("entry not found"), result->mutable_status());
          } else {
            ToProto(absl::OkStatus(), result->mutable_status());
            batch.erase.push_back(id);
          }
        }
      },
      responder);
}

}  // namespace assay
