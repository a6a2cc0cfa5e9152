// SPDX-License-Identifier: GPL-3.0-or-later
// Any bytes as what the identity role tells serve, twice over: they are taken or refused, and what
// is then known can be looked at.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "assay/roles.pb.h"
#include "workload-api/served_state.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  assay::ServedState state;
  for (int i = 0; i < 2; ++i) {
    assay::roles::StateChange change;
    if (!change.ParseFromArray(data, static_cast<int>(size))) {
      return 0;
    }
    change.set_commit(true);
    std::vector<std::string> ids;
    for (const assay::roles::Entry& entry : change.entries()) {
      ids.push_back(entry.id());
    }
    (void)state.Receive(std::move(change));
    for (const std::string& id : ids) {
      if (const auto slot = state.entries().Find(id)) {
        (void)state.entries().Get(*slot).spiffe_id;
        (void)state.FindSvid(*slot);
        (void)state.EntryVersion(*slot);
      }
    }
    (void)state.FindBundle("example.org");
  }
  return 0;
}
