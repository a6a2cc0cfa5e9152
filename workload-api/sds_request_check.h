// SPDX-License-Identifier: GPL-3.0-or-later
// Whether a request of SDS may be parsed, told from its bytes alone: parsing makes an object of
// each field, and of two bytes there may be one.
#pragma once

#include <string_view>

#include "base/status.h"

namespace assay {

// The fields of a request that are messages, by number.
struct SdsRequestForm {
  int node;
  int error_detail;
};
inline constexpr SdsRequestForm kWholeForm = {.node = 2, .error_detail = 6};
inline constexpr SdsRequestForm kDeltaForm = {.node = 1, .error_detail = 7};

// Of the request, of its node and of its error_detail each.
inline constexpr size_t kMaxSdsFields = 4096;
// Of a node without its extensions, which are not parsed: the operator's metadata, above all.
inline constexpr size_t kMaxSdsNodeBytes = 32 << 10;

// Internal, in grpc-go's words, for bytes that are no message; InvalidArgument beyond the limits.
absl::Status CheckSdsRequest(std::string_view bytes, const SdsRequestForm& form);

}  // namespace assay
