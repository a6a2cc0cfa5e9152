// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/hcl_scanner.h"

#include <algorithm>
#include <vector>

namespace assay {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool IsIdentifierPart(char c) { return IsLetter(c) || IsDigit(c) || c == '-' || c == '.'; }
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

int DigitValue(char c) {
  if (IsDigit(c)) {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

bool IsSurrogate(uint32_t code) { return code >= 0xd800 && code <= 0xdfff; }

void AppendUtf8(uint32_t code, std::string& out) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

// Without the white space that every line of the text begins with, the empty ones left out.
std::string Unindented(const std::vector<std::string>& lines, size_t indent) {
  std::string text;
  for (const std::string& line : lines) {
    const size_t leading = std::min(line.find_first_not_of(" \t"), line.size());
    text += line.substr(std::min(leading, indent));
  }
  return text;
}

}  // namespace

absl::Status ConfigScanner::Error(ConfigPosition position, std::string_view what) const {
  return InvalidArgument("{}:{}:{}: {}", name_, position.line, position.column, what);
}

char ConfigScanner::Take() {
  const char c = text_[at_++];
  if (c == '\n') {
    ++position_.line;
    position_.column = 1;
  } else {
    ++position_.column;
  }
  return c;
}

absl::StatusOr<ConfigToken> ConfigScanner::Next() {
  RETURN_IF_ERROR(SkipSpaceAndComments());
  ConfigToken token;
  token.position = position_;
  const char c = Peek();
  if (AtEnd()) {
    return token;
  }
  if (c == '"') {
    token.kind = ConfigToken::Kind::kString;
    ASSIGN_OR_RETURN(token.text, TakeString());
  } else if (IsDigit(c) || c == '-' || (c == '.' && IsDigit(Peek(1)))) {
    token.kind = ConfigToken::Kind::kNumber;
    ASSIGN_OR_RETURN(token.text, TakeNumber());
  } else if (IsLetter(c)) {
    token.text = TakeIdentifier();
    token.kind = ConfigToken::Kind::kIdentifier;
    if (token.text == "true" || token.text == "false") {
      token.kind = ConfigToken::Kind::kBool;
    } else if (token.text == "null" && syntax_ == ConfigSyntax::kJson) {
      token.kind = ConfigToken::Kind::kNull;
    }
  } else if (c == '<' && Peek(1) == '<' && syntax_ == ConfigSyntax::kHcl) {
    token.kind = ConfigToken::Kind::kString;
    ASSIGN_OR_RETURN(token.text, TakeHeredoc());
  } else if (std::string_view("{}[]=:,").find(c) != std::string_view::npos) {
    token.kind = ConfigToken::Kind::kPunctuation;
    token.text = Take();
  } else {
    return Error(position_, fmt::format("expected a name or a value, found {}",
                                        Quoted(std::string_view(&c, 1))));
  }
  return token;
}

absl::Status ConfigScanner::SkipSpaceAndComments() {
  while (!AtEnd()) {
    if (IsSpace(Peek())) {
      Take();
    } else if (syntax_ == ConfigSyntax::kHcl &&
               (Peek() == '#' || (Peek() == '/' && Peek(1) == '/'))) {
      SkipLine();
    } else if (syntax_ == ConfigSyntax::kHcl && Peek() == '/' && Peek(1) == '*') {
      RETURN_IF_ERROR(SkipBlockComment());
    } else {
      break;
    }
  }
  return absl::OkStatus();
}

void ConfigScanner::SkipLine() {
  while (!AtEnd() && Take() != '\n') {
  }
}

absl::Status ConfigScanner::SkipBlockComment() {
  const ConfigPosition start = position_;
  Take();
  Take();
  while (!AtEnd()) {
    if (Take() == '*' && Peek() == '/') {
      Take();
      return absl::OkStatus();
    }
  }
  return Error(start, "expected */ to end this comment");
}

absl::StatusOr<std::string> ConfigScanner::TakeString() {
  const ConfigPosition start = position_;
  Take();
  std::string out;
  while (!AtEnd() && Peek() != '\n') {
    const char c = Take();
    if (c == '"') {
      return out;
    }
    if (c == '\\') {
      RETURN_IF_ERROR(TakeEscape(out));
    } else if (c == '$' && Peek() == '{' && syntax_ == ConfigSyntax::kHcl) {
      out += c;
      RETURN_IF_ERROR(TakeInterpolation(out));
    } else {
      out += c;
    }
  }
  return Error(start, "expected \" to end this string on the same line");
}

// The text between ${ and its } is kept as it is, quotes and lines too.
absl::Status ConfigScanner::TakeInterpolation(std::string& out) {
  const ConfigPosition start = position_;
  int depth = 0;
  while (!AtEnd()) {
    const char c = Take();
    out += c;
    if (c == '{') {
      ++depth;
    } else if (c == '}' && --depth == 0) {
      return absl::OkStatus();
    }
  }
  return Error(start, "expected } to end this interpolation");
}

absl::Status ConfigScanner::TakeEscape(std::string& out) {
  constexpr std::string_view kHclNames = "abfnrtv\\\"";
  constexpr std::string_view kHclBytes = "\a\b\f\n\r\t\v\\\"";
  constexpr std::string_view kJsonNames = "bfnrt\\\"/";
  constexpr std::string_view kJsonBytes = "\b\f\n\r\t\\\"/";
  const bool json = syntax_ == ConfigSyntax::kJson;
  const ConfigPosition start = position_;
  const char c = AtEnd() ? '\0' : Take();
  const size_t named = (json ? kJsonNames : kHclNames).find(c);
  if (named != std::string_view::npos) {
    out += (json ? kJsonBytes : kHclBytes)[named];
    return absl::OkStatus();
  }
  if (c == 'u' || (!json && (c == 'U' || c == 'x'))) {
    return TakeNumericEscape(c, out);
  }
  if (!json && c >= '0' && c <= '3') {
    ASSIGN_OR_RETURN(const uint32_t low, TakeDigits(2, 8));
    out += static_cast<char>((c - '0') * 64 + static_cast<int>(low));
    return absl::OkStatus();
  }
  return Error(start, "expected one of the known escapes after \\");
}

absl::Status ConfigScanner::TakeNumericEscape(char kind, std::string& out) {
  const ConfigPosition start = position_;
  if (kind == 'x') {
    ASSIGN_OR_RETURN(const uint32_t byte, TakeDigits(2, 16));
    out += static_cast<char>(byte);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(uint32_t code, TakeDigits(kind == 'U' ? 8 : 4, 16));
  if (syntax_ == ConfigSyntax::kJson && code >= 0xd800 && code <= 0xdbff && Peek() == '\\' &&
      Peek(1) == 'u') {
    Take();
    Take();
    ASSIGN_OR_RETURN(const uint32_t low, TakeDigits(4, 16));
    if (low >= 0xdc00 && low <= 0xdfff) {
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
  }
  if (code > 0x10ffff || IsSurrogate(code)) {
    return Error(start, "expected the number of a Unicode character");
  }
  AppendUtf8(code, out);
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> ConfigScanner::TakeDigits(int count, unsigned base) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i) {
    const int digit = AtEnd() ? 99 : DigitValue(Peek());
    if (digit >= static_cast<int>(base)) {
      return Error(position_, fmt::format("expected {} digits of base {}", count, base));
    }
    value = value * base + static_cast<uint32_t>(digit);
    Take();
  }
  return value;
}

absl::StatusOr<std::string> ConfigScanner::TakeHeredoc() {
  const ConfigPosition start = position_;
  Take();
  Take();
  const bool indented = Peek() == '-';
  if (indented) {
    Take();
  }
  std::string marker;
  while (!AtEnd() && Peek() != '\n') {
    marker += Take();
  }
  if (marker.ends_with('\r')) {
    marker.pop_back();
  }
  if (marker.empty() || AtEnd()) {
    return Error(start, "expected a marker and a new line after <<");
  }
  Take();
  std::vector<std::string> lines;
  while (!AtEnd()) {
    std::string line;
    while (!AtEnd() && Peek() != '\n') {
      line += Take();
    }
    const size_t leading = std::min(line.find_first_not_of(" \t"), line.size());
    std::string_view end = std::string_view(line).substr(leading);
    if (end.ends_with('\r')) {
      end.remove_suffix(1);
    }
    if (end == marker) {
      return Unindented(lines, indented ? leading : 0);
    }
    if (!AtEnd()) {
      line += Take();
    }
    lines.push_back(std::move(line));
  }
  return Error(start, fmt::format("expected {} to end this text", Quoted(marker)));
}

absl::StatusOr<std::string> ConfigScanner::TakeNumber() {
  const ConfigPosition start = position_;
  std::string text;
  const auto take_while = [&](auto wanted) {
    const size_t before = text.size();
    while (!AtEnd() && wanted(Peek())) {
      text += Take();
    }
    return text.size() > before;
  };
  if (Peek() == '-') {
    text += Take();
  }
  bool good = false;
  if (Peek() == '0' && (Peek(1) == 'x' || Peek(1) == 'X') && syntax_ == ConfigSyntax::kHcl) {
    text += Take();
    text += Take();
    good = take_while([](char c) { return DigitValue(c) < 16; });
  } else {
    good = take_while(IsDigit);
    if (Peek() == '.') {
      text += Take();
      good = take_while(IsDigit) || good;
    }
    if (good && (Peek() == 'e' || Peek() == 'E')) {
      text += Take();
      if (Peek() == '+' || Peek() == '-') {
        text += Take();
      }
      good = take_while(IsDigit);
    }
  }
  if (!good || IsIdentifierPart(Peek())) {
    return Error(start, "expected a number");
  }
  return text;
}

std::string ConfigScanner::TakeIdentifier() {
  std::string text;
  while (!AtEnd() && IsIdentifierPart(Peek())) {
    text += Take();
  }
  return text;
}

}  // namespace assay
