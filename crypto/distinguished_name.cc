// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/distinguished_name.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/utf8.h"
#include "crypto/der_reader.h"
#include "crypto/der_writer.h"
#include "crypto/digest.h"

namespace assay::crypto {
namespace {

struct AttributeType {
  std::string_view name, oid;
  bool always_printable;
};
constexpr std::array<AttributeType, 9> kTypes = {{
    {"C", "2.5.4.6", true},
    {"O", "2.5.4.10", false},
    {"OU", "2.5.4.11", false},
    {"CN", "2.5.4.3", false},
    {"SERIALNUMBER", "2.5.4.5", true},
    {"L", "2.5.4.7", false},
    {"ST", "2.5.4.8", false},
    {"STREET", "2.5.4.9", false},
    {"POSTALCODE", "2.5.4.17", false},
}};
constexpr std::string_view kCommonName = "2.5.4.3";
constexpr uint8_t kNumericString = 0x12;
constexpr size_t kMaxAttributes = 64;

const AttributeType* FindByOid(std::string_view oid) {
  const auto* found = std::find_if(kTypes.begin(), kTypes.end(),
                                   [oid](const AttributeType& type) { return type.oid == oid; });
  return found == kTypes.end() ? nullptr : found;
}

const AttributeType* FindByName(std::string_view name) {
  const auto* found = std::find_if(kTypes.begin(), kTypes.end(),
                                   [name](const AttributeType& type) { return type.name == name; });
  return found == kTypes.end() ? nullptr : found;
}

void AppendUtf8(uint32_t point, std::string& out) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xc0 | point >> 6);
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else {
    out += static_cast<char>(0xe0 | point >> 12);
    out += static_cast<char>(0x80 | (point >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  }
}

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(" '()+,-./:=?").find(c) != std::string_view::npos;
  });
}

// Two bytes a character; those of a surrogate pair are refused, as BMPString has none.
absl::StatusOr<std::string> FromBmp(std::string_view content) {
  std::string text;
  if (content.size() % 2 != 0) {
    return InvalidArgument("name has a BMPString of an odd size");
  }
  for (size_t i = 0; i < content.size(); i += 2) {
    const uint32_t point = static_cast<uint32_t>(static_cast<uint8_t>(content[i])) << 8 |
                           static_cast<uint8_t>(content[i + 1]);
    if (point >= 0xd800 && point < 0xe000) {
      return InvalidArgument("name has a BMPString with half a character");
    }
    AppendUtf8(point, text);
  }
  return text;
}

std::string FromLatin1(std::string_view content) {
  std::string text;
  for (const char c : content) {
    AppendUtf8(static_cast<uint8_t>(c), text);
  }
  return text;
}

absl::StatusOr<std::string> TextOf(const DerElement& value) {
  switch (value.tag) {
    case kDerUtf8String:
      if (!IsUtf8(value.content)) {
        return InvalidArgument("name has a UTF8String that is not UTF-8");
      }
      return std::string(value.content);
    case kDerPrintableString:
    case kDerIa5String:
    case kNumericString:
      if (!IsAscii(value.content)) {
        return InvalidArgument("name has a string that is not ASCII");
      }
      return std::string(value.content);
    case kDerTeletexString:
      return FromLatin1(value.content);
    case kDerBmpString:
      return FromBmp(value.content);
    default:
      return std::string();
  }
}

std::string Escape(std::string_view text) {
  std::string escaped;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool special = std::string_view(",+\"\\<>;").find(text[i]) != std::string_view::npos ||
                         (i == 0 && (text[i] == ' ' || text[i] == '#')) ||
                         (i + 1 == text.size() && text[i] == ' ');
    if (special) {
      escaped += '\\';
    }
    escaped += text[i];
  }
  return escaped;
}

}  // namespace

absl::StatusOr<std::vector<NameAttribute>> ParseName(std::string_view der) {
  constexpr std::string_view kWhat = "name";
  DerReader outer(der);
  ASSIGN_OR_RETURN(DerReader names, outer.Enter(kDerSequence, kWhat));
  RETURN_IF_ERROR(outer.End(kWhat));
  std::vector<NameAttribute> attributes;
  while (!names.AtEnd()) {
    ASSIGN_OR_RETURN(DerReader relative, names.Enter(kDerSet, kWhat));
    bool joins = false;
    do {
      ASSIGN_OR_RETURN(DerReader pair, relative.Enter(kDerSequence, kWhat));
      ASSIGN_OR_RETURN(std::string oid, pair.ReadOid(kWhat));
      ASSIGN_OR_RETURN(const DerElement value, pair.ReadAny());
      RETURN_IF_ERROR(pair.End(kWhat));
      ASSIGN_OR_RETURN(std::string text, TextOf(value));
      if (attributes.size() == kMaxAttributes) {
        return InvalidArgument("name has more than {} attributes", kMaxAttributes);
      }
      attributes.push_back({std::move(oid), std::move(text), std::string(value.whole), joins});
      joins = true;
    } while (!relative.AtEnd());
  }
  return attributes;
}

DistinguishedName ToDistinguishedName(const std::vector<NameAttribute>& attributes) {
  DistinguishedName name;
  for (const NameAttribute& attribute : attributes) {
    if (const AttributeType* type = FindByOid(attribute.oid); type != nullptr) {
      name.emplace_back(type->name, attribute.text);
    }
  }
  return name;
}

std::string CommonNameOf(const std::vector<NameAttribute>& attributes) {
  const auto found =
      std::find_if(attributes.rbegin(), attributes.rend(),
                   [](const NameAttribute& attribute) { return attribute.oid == kCommonName; });
  return found == attributes.rend() ? "" : found->text;
}

std::string NameText(const std::vector<NameAttribute>& attributes) {
  std::string text;
  for (size_t end = attributes.size(); end > 0;) {
    size_t start = end - 1;
    while (start > 0 && attributes[start].joins_previous) {
      --start;
    }
    for (size_t i = start; i < end; ++i) {
      const NameAttribute& attribute = attributes[i];
      const AttributeType* type = FindByOid(attribute.oid);
      text += text.empty() ? "" : i == start ? "," : "+";
      text += type != nullptr
                  ? fmt::format("{}={}", type->name, Escape(attribute.text))
                  : fmt::format("{}=#{}", attribute.oid, HexEncode(attribute.value_der));
    }
    end = start;
  }
  return text;
}

absl::StatusOr<std::string> WriteName(const DistinguishedName& name) {
  std::string relatives;
  for (const auto& [type_name, value] : name) {
    const AttributeType* type = FindByName(type_name);
    if (type == nullptr) {
      return InvalidArgument("name attribute {} is not known", Quoted(type_name));
    }
    const bool printable = IsPrintable(value);
    if (!IsUtf8(value) || value.empty() || (type->always_printable && !printable)) {
      return InvalidArgument("name attribute {} cannot be {}", type_name, Quoted(value));
    }
    const std::string pair = DerSequence(
        {DerObjectId(type->oid), DerWrap(printable ? kDerPrintableString : kDerUtf8String, value)});
    relatives += DerWrap(kDerSet, pair);
  }
  return DerWrap(kDerSequence, relatives);
}

}  // namespace assay::crypto
