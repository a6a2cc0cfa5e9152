// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/ca_rotation.h"

#include "base/log.h"

namespace assay {

using Action = CertificateAuthority::Action;
using Kind = SigningAuthority::Kind;

namespace {

// As often as a wall clock that was stepped is noticed.
constexpr absl::Duration kLookEvery = absl::Seconds(5);

absl::Status Save(const CertificateAuthority::Change& change, const KeyFolder& keys, Store& store) {
  for (const SigningAuthority& authority : change.put) {
    // A key without its row is harmless; a row without its key would not be.
    if (authority.key != nullptr) {
      RETURN_IF_ERROR(keys.Save(authority));
    }
    RETURN_IF_ERROR(store.Put(authority));
  }
  for (const std::string& id : change.forget) {
    RETURN_IF_ERROR(store.EraseAuthority(id));
  }
  return change.bundle.has_value() ? store.Put(*change.bundle) : absl::OkStatus();
}

// After the commit: until then the key could be needed again.
void DestroyOldKeys(const CertificateAuthority::Change& change, const KeyFolder& keys) {
  for (const SigningAuthority& authority : change.put) {
    if (authority.key == nullptr) {
      if (const absl::Status removed = keys.Save(authority); !removed.ok()) {
        log::Warn("cannot remove an old signing key",
                  {{"authority_id", authority.id}, {"error", removed}});
      }
    }
  }
}

void TakeOver(State& state, const CertificateAuthority::Step& step,
              const CertificateAuthority::Change& change) {
  state.ca.Apply(change);
  if (change.bundle.has_value()) {
    state.bundles.Put(*change.bundle);
  }
  for (const SigningAuthority& authority : change.put) {
    log::Info("signing authority changed",
              {{"action", ToString(step.action)},
               {"kind", ToString(step.kind)},
               {"authority_id", authority.id},
               {"expiration",
                absl::FormatTime(absl::RFC3339_sec, authority.expires_at, absl::UTCTimeZone())}});
  }
}

}  // namespace

CaRotation::~CaRotation() { *alive_ = false; }

absl::Status CaRotation::Settle() {
  while (const auto step = state_.ca.NextStep(state_.clock.Now())) {
    std::optional<SigningAuthority> made;
    if (step->action == Action::kPrepare) {
      ASSIGN_OR_RETURN(made, MakeSigningAuthority(step->kind, state_.options, state_.clock.Now()));
    }
    const auto change = state_.ca.Plan(*step, std::move(made), state_.OwnBundle());
    RETURN_IF_ERROR(
        state_.store->InTransaction([&] { return Save(change, state_.keys, *state_.store); }));
    DestroyOldKeys(change, state_.keys);
    TakeOver(state_, *step, change);
  }
  return absl::OkStatus();
}

void CaRotation::Start() { Look(); }

void CaRotation::Look() {
  if (const auto step = state_.ca.NextStep(state_.clock.Now())) {
    Take(*step);
  } else {
    LookAfter(kLookEvery);
  }
}

void CaRotation::LookAfter(absl::Duration delay) {
  state_.loop.After(delay, [this, alive = alive_] {
    if (*alive) {
      Look();
    }
  });
}

void CaRotation::Take(const CertificateAuthority::Step& step) {
  if (step.action != Action::kPrepare) {
    Record(step, std::nullopt);
    return;
  }
  state_.signing.Run(
      state_.loop,
      [kind = step.kind, options = state_.options, now = state_.clock.Now()] {
        return MakeSigningAuthority(kind, options, now);
      },
      [this, alive = alive_, step](const absl::StatusOr<SigningAuthority>& made) {
        if (!*alive) {
          return;
        }
        if (made.ok()) {
          Record(step, *made);
          return;
        }
        log::Error("cannot prepare a signing authority",
                   {{"kind", ToString(step.kind)}, {"error", made.status()}});
        LookAfter(kLookEvery);
      });
}

void CaRotation::Record(const CertificateAuthority::Step& step,
                        std::optional<SigningAuthority> made) {
  const auto change = std::make_shared<CertificateAuthority::Change>();
  state_.changes.Add(
      {.plan = [this, alive = alive_, change, step, made]() -> absl::StatusOr<ChangeQueue::Write> {
         if (!*alive) {
           return absl::CancelledError("the authority stops");
         }
         *change = state_.ca.Plan(step, made, state_.OwnBundle());
         return ChangeQueue::Write(
             [change, &keys = state_.keys](Store& store) { return Save(*change, keys, store); });
       },
       .done =
           [this, alive = alive_, change, step](const absl::Status& outcome) {
             if (!*alive) {
               return;
             }
             if (outcome.ok()) {
               state_.storage.Post(
                   [change, &keys = state_.keys] { DestroyOldKeys(*change, keys); });
               TakeOver(state_, step, *change);
             }
             // After a failure too, but then not at once.
             LookAfter(outcome.ok() ? absl::ZeroDuration() : kLookEvery);
           }});
}

}  // namespace assay
