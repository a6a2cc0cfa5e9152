// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/line_reader.h"

#include <algorithm>

namespace assay {

void LineReader::Take(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const size_t room = max_bytes_ - line_.size();
    const size_t taken = std::min(std::min(end, bytes.size()), room);
    line_.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    if (!bytes.empty() && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      Tell(in_long_line_);
      in_long_line_ = false;
    } else if (line_.size() == max_bytes_) {
      in_long_line_ = true;
      Tell(/*cut=*/true);
    }
  }
}

void LineReader::Finish() {
  if (!line_.empty()) {
    Tell(in_long_line_);
  }
  in_long_line_ = false;
}

void LineReader::Tell(bool cut) {
  const std::string line = std::exchange(line_, {});
  on_line_(line, cut);
}

}  // namespace assay
