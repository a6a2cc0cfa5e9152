// SPDX-License-Identifier: GPL-3.0-or-later
// Texts as spire-agent makes names and labels of metrics of them.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace assay {

// "OK", "PermissionDenied": gRPC's codes as Go writes them; "Code(17)" of another.
std::string StatusName(absl::StatusCode code);
// A label's value of letters, digits and underscores: "d_test".
std::string SanitizedLabel(std::string_view text);
// Of the full name of a method that the agent serves: "workload_api_fetch_x509svid"; "other" of any
// other.
std::string MethodName(std::string_view full_method);
// What spire-agent calls the API of a service whose connections it counts: "workload_api"; empty of
// any other.
std::string_view ApiName(std::string_view service);

}  // namespace assay
