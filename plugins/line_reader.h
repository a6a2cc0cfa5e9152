// SPDX-License-Identifier: GPL-3.0-or-later
// Bytes of a stream cut into lines, of which none is longer than a limit. Not thread-safe.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace assay {

class LineReader final {
 public:
  // Gets each line without its end; `cut` when it is a part of a longer one.
  using OnLine = std::function<void(std::string_view line, bool cut)>;

  LineReader(size_t max_bytes, OnLine on_line)
      : max_bytes_(max_bytes), on_line_(std::move(on_line)) {}

  void Take(std::string_view bytes);
  // The stream has ended: what has no end of line is a line too.
  void Finish();

 private:
  void Tell(bool cut);

  const size_t max_bytes_;
  const OnLine on_line_;
  std::string line_;
  bool in_long_line_ = false;
};

}  // namespace assay
