// SPDX-License-Identifier: GPL-3.0-or-later
// What one stream of SDS asks for, as its requests say (xDS protocol, "resource subscriptions"):
// the names of resources, or all there are, and which form of validation its proxy understands.
// Bounded, for a stream keeps it.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <set>
#include <string>
#include <string_view>

#include "base/status.h"

namespace envoy::config::core::v3 {
class Node;
}  // namespace envoy::config::core::v3

namespace assay {

// How a proxy is told to verify its peers: by the bundle of the peer's own trust domain, or by the
// authorities alone.
enum class SdsValidation { kSpiffe, kPlain };

// What the proxy of this node gets: the SPIFFE validator is in Envoy from 1.18 on, and the node's
// metadata "disable_spiffe_cert_validation" overrides `disabled`.
SdsValidation ValidationFor(const envoy::config::core::v3::Node& node, bool disabled);

class SdsSubscription final {
 public:
  using Names = google::protobuf::RepeatedPtrField<std::string>;

  static constexpr size_t kMaxNames = 1024;
  static constexpr size_t kMaxNameBytes = 64 << 10;  // Of all names together.
  // Asks for everything there is, also of what comes later.
  static constexpr std::string_view kEverything = "*";

  // The type of a request's resources, which may be left out; InvalidArgument for another one.
  static absl::Status CheckType(std::string_view type_url);

  // A state-of-the-world request: these and no others. No name at all asks for everything on a
  // stream that has named nothing yet, else for nothing. Whether it asks for something else than
  // the one before; InvalidArgument beyond the limits, and then the subscription is of no more use.
  // Either costs what the request is long, whatever was asked for before, and leaves names() where
  // it is when nothing has changed.
  absl::StatusOr<bool> Replace(const Names& names);
  // A delta request. The first one of a stream that subscribes to nothing asks for everything. Who
  // subscribes again asks for it again.
  absl::StatusOr<bool> Change(const Names& subscribe, const Names& unsubscribe);

  const std::set<std::string, std::less<>>& names() const { return names_; }
  bool everything() const { return everything_; }
  // What it costs in memory to keep, about.
  size_t kept_bytes() const { return KeptBytes(names_.size(), name_bytes_); }
  static size_t KeptBytes(size_t names, size_t bytes_of_names);
  bool Covers(std::string_view name) const { return everything_ || names_.contains(name); }

 private:
  absl::Status Insert(const std::string& name);

  std::set<std::string, std::less<>> names_;
  size_t name_bytes_ = 0;
  bool everything_ = false;
  bool begun_ = false;  // Delta: there was a request. Else: one that named something.
};

}  // namespace assay
