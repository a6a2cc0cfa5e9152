// SPDX-License-Identifier: GPL-3.0-or-later
// A registration entry for tests: the SPIFFE ID is that of d.test with the id as its path, the
// selector is unix:uid:1000.
#pragma once

#include <string>

#include "spiffe/registration_entry.h"

namespace assay {

inline RegistrationEntry MakeEntry(const std::string& id, int64_t revision_number = 0) {
  return {.id = id,
          .spiffe_id = *SpiffeId::Parse("spiffe://d.test/" + id),
          .parent_id = {},
          .selectors = {{"unix", "uid:1000"}},
          .federates_with = {},
          .dns_names = {},
          .hint = {},
          .created_at = 7,
          .revision_number = revision_number};
}

}  // namespace assay
