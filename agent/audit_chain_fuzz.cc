// SPDX-License-Identifier: GPL-3.0-or-later
// Any bytes as an audit log: what of it is in order is, and nothing of it is taken for more than it
// is. A line that parses is, sealed anew, the same line.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/audit_chain.h"
#include "agent/audit_verifier.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  assay::AuditVerifier verifier;
  verifier.BeginFile("fuzz");
  (void)verifier.Take(text);
  const bool whole = verifier.EndFile().ok() && verifier.Finish().ok();
  if (whole && (verifier.lines() == 0 || !text.ends_with('\n'))) {
    std::abort();
  }
  const std::string_view line = text.substr(0, text.find('\n'));
  if (const auto parsed = assay::ParseAuditLine(line); parsed.ok()) {
    constexpr size_t kEndBytes = 78 + 75;
    const auto sealed =
        assay::SealAuditLine(line.substr(0, line.size() - kEndBytes), parsed->previous);
    if (sealed.text.substr(0, sealed.text.size() - 1) != line || sealed.hash != parsed->hash) {
      std::abort();
    }
  }
  return 0;
}
