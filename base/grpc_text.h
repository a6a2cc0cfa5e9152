// SPDX-License-Identifier: GPL-3.0-or-later
// A gRPC status in the words of gRPC for Go, which the reference prints and users look for.
#pragma once

#include <string>
#include <string_view>

namespace assay {

// "NotFound" for 5; "Code(99)" for one that has no name.
std::string GrpcCodeName(int code);
// "rpc error: code = NotFound desc = entry not found".
std::string GrpcText(int code, std::string_view description);

}  // namespace assay
