// SPDX-License-Identifier: GPL-3.0-or-later
// A JSON object (RFC 8259) from a peer, read member by member: attestation payloads, challenges,
// the parts of a JWS. Its size is bounded, its depth by what its readers enter; each error names
// the member. Of two members of one name the later counts. Its texts are wiped when the last object
// of a document dies.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "base/status.h"

namespace assay::crypto {

class JsonObject final {
 public:
  // InvalidArgument when the text is longer than max_bytes or no object.
  static absl::StatusOr<JsonObject> Parse(std::string_view text, size_t max_bytes);

  // Whether the member is there, though it may be null.
  bool Contains(std::string_view name) const;
  // Whether the member is there and not null.
  bool Has(std::string_view name) const;
  // InvalidArgument when the member is absent or of another kind.
  absl::StatusOr<std::string> Text(std::string_view name) const;
  absl::StatusOr<Secret> SecretText(std::string_view name) const;
  absl::StatusOr<std::string> Bytes(std::string_view name) const;  // From standard base64.
  // A number; whatever is behind its point is cut.
  absl::StatusOr<int64_t> Integer(std::string_view name) const;
  absl::StatusOr<JsonObject> Object(std::string_view name) const;
  // Of an array, at most max of them. A string alone stands for an array of itself.
  absl::StatusOr<std::vector<std::string>> Texts(std::string_view name, size_t max) const;
  absl::StatusOr<std::vector<JsonObject>> Objects(std::string_view name, size_t max) const;

 private:
  struct Node;
  explicit JsonObject(std::shared_ptr<const Node> node) : node_(std::move(node)) {}

  std::shared_ptr<const Node> node_;  // Keeps the whole document.
};

}  // namespace assay::crypto
