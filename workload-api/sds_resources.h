// SPDX-License-Identifier: GPL-3.0-or-later
// The resources of SDS: a caller's X509-SVIDs by SPIFFE ID, the bundles it may have by trust
// domain, and both under the operator's names. Each is built once and shared by all streams that
// have it; who holds one keeps it for the others. Owned by the event loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "workload-api/audit.h"
#include "workload-api/identity_set.h"
#include "workload-api/sds_options.h"
#include "workload-api/sds_subscription.h"
#include "workload-api/served_state.h"

namespace assay {

constexpr std::string_view kSdsTypeUrl =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

struct SdsResource {
  std::string name;
  std::string version;  // Equal for equal content, also after a restart.
  bool is_svid = false;
  HandedOut key = {};  // Of an SVID: what is handed out with it.
  Secret bytes;        // A serialized envoy.extensions.transport_sockets.tls.v3.Secret.
};
using SharedSdsResource = std::shared_ptr<const SdsResource>;

class SdsResources final {
 public:
  struct Context {
    const ServedState& state;
    const Clock& clock;
    std::string trust_domain;
  };
  // What context refers to must outlive the resources.
  SdsResources(Context context, SdsOptions options)
      : context_(std::move(context)), options_(std::move(options)) {}
  SdsResources(const SdsResources&) = delete;
  SdsResources& operator=(const SdsResources&) = delete;

  const SdsOptions& options() const { return options_; }
  // Whether callers without an identity get the own trust domain's bundle.
  void SetAllowUnauthenticatedVerifiers(bool allow) { allow_unauthenticated_verifiers_ = allow; }

  // Whether it is the name of a bundle, or of all.
  bool NamesBundle(std::string_view name) const;

 private:
  // By trust domain name.
  using Bundles = std::map<std::string_view, const ServedState::Bundle*>;

 public:
  // What callers with one set of identities have now, until the next change of the state.
  class Offer final {
   public:
    // Null: nothing. The default SVID is that of the first identity; `settled` says that none is
    // waited for: then of the first that has one.
    SharedSdsResource Find(std::string_view name, bool settled);
    // Everything under its SPIFFE ID: bundles and SVIDs, of each name one.
    std::vector<SharedSdsResource> All();
    // What it has taken so far, in terms of a name that is looked up: entries and bundles gone
    // over, and what was built.
    size_t cost() const { return cost_ + resources_.built_cost_ - built_before_; }

   private:
    friend class SdsResources;
    Offer(SdsResources& resources, IdentitySet& identities, SdsValidation validation);
    SharedSdsResource FindBundles(std::string_view name);
    SharedSdsResource FindDefaultSvid(bool settled);
    const ServedState::Svid* SvidOf(EntryIndex::Slot slot) const;
    // By SPIFFE ID: of two entries with one the first that has an SVID counts.
    using Svids = std::map<std::string_view, EntryIndex::Slot>;
    const Svids& svids();

    SdsResources& resources_;
    IdentitySet& identities_;
    const SdsValidation validation_;
    const Bundles bundles_;
    std::optional<Svids> svids_;
    const size_t built_before_;
    size_t cost_ = 0;
  };
  Offer OfferTo(IdentitySet& identities, SdsValidation validation) {
    return Offer(*this, identities, validation);
  }

 private:
  Bundles BundlesOf(IdentitySet& identities) const;
  // Of an entry that has one.
  SharedSdsResource SvidResource(std::string_view name, EntryIndex::Slot slot);
  SharedSdsResource BundleResource(std::string_view name, const Bundles& bundles,
                                   SdsValidation validation);
  // What there is under the key, else what is built.
  SharedSdsResource Shared(std::string key, const std::function<SharedSdsResource()>& build);

  const Context context_;
  const SdsOptions options_;
  bool allow_unauthenticated_verifiers_ = false;
  std::unordered_map<std::string, std::weak_ptr<const SdsResource>> built_;
  size_t sweep_at_ = 256;
  size_t built_cost_ = 0;  // Of all that was ever built.
};

}  // namespace assay
