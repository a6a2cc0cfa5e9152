// SPDX-License-Identifier: GPL-3.0-or-later
// A hash over data that comes in pieces, such as a file too large to hold. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "crypto/digest.h"

namespace assay::crypto {

class DigestStream final {
 public:
  explicit DigestStream(Hash hash);
  ~DigestStream();
  DigestStream(const DigestStream&) = delete;
  DigestStream& operator=(const DigestStream&) = delete;

  void Update(std::string_view data);
  // The digest of everything since the beginning; the last call.
  std::string Finish();

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace assay::crypto
