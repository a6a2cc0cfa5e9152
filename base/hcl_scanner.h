// SPDX-License-Identifier: GPL-3.0-or-later
// The tokens of a configuration text in HCL 1 or JSON (base/hcl.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/hcl.h"
#include "base/status.h"

namespace assay {

enum class ConfigSyntax { kHcl, kJson };

struct ConfigToken {
  enum class Kind { kEnd, kIdentifier, kString, kNumber, kBool, kNull, kPunctuation };

  Kind kind = Kind::kEnd;
  ConfigPosition position;
  std::string text;  // Identifier, number or punctuation as written; a string's bytes, unescaped.

  bool Is(char punctuation) const {
    return kind == Kind::kPunctuation && text.front() == punctuation;
  }
};

class ConfigScanner final {
 public:
  // The text must outlive the scanner.
  ConfigScanner(std::string_view name, std::string_view text, ConfigSyntax syntax)
      : name_(name), text_(text), syntax_(syntax) {}

  absl::StatusOr<ConfigToken> Next();
  // InvalidArgument with this place in front.
  absl::Status Error(ConfigPosition position, std::string_view what) const;

 private:
  bool AtEnd() const { return at_ >= text_.size(); }
  char Peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  char Take();
  absl::Status SkipSpaceAndComments();
  void SkipLine();
  absl::Status SkipBlockComment();
  absl::StatusOr<std::string> TakeString();
  absl::Status TakeInterpolation(std::string& out);
  absl::Status TakeEscape(std::string& out);
  absl::Status TakeNumericEscape(char kind, std::string& out);
  absl::StatusOr<uint32_t> TakeDigits(int count, unsigned base);
  absl::StatusOr<std::string> TakeHeredoc();
  absl::StatusOr<std::string> TakeNumber();
  std::string TakeIdentifier();

  const std::string name_;
  const std::string_view text_;
  const ConfigSyntax syntax_;
  size_t at_ = 0;
  ConfigPosition position_;
};

}  // namespace assay
