// SPDX-License-Identifier: GPL-3.0-or-later
// Registration entries from a JSON file, for many at a time: {"entries": [{"spiffe_id":
// "spiffe://…", "parent_id": "spiffe://…", "selectors": [{"type": "unix", "value": "uid:0"}]}]},
// and
// {"ids": ["…"]} to delete. Names are matched without case, unknown ones are passed over, as the
// reference's command line does.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace spire::api::types {
class Entry;
}

namespace assay {

constexpr size_t kMaxEntryFileBytes = 512 << 20;

// A file's text, or what there is to read from `in` when the path is "-".
absl::StatusOr<std::string> ReadEntryFile(const std::string& path, std::istream& in);

// An error names the entry by its place in the file.
absl::StatusOr<std::vector<spire::api::types::Entry>> ParseEntries(std::string_view json);
absl::StatusOr<std::vector<std::string>> ParseEntryIds(std::string_view json);

}  // namespace assay
