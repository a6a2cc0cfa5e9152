// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/extensions.h"

#include <algorithm>

#include "crypto/der_writer.h"

namespace assay::crypto {
namespace {

// GeneralName's choices (RFC 5280 §4.2.1.6).
constexpr uint8_t kDnsName = DerContext(2);
constexpr uint8_t kUri = DerContext(6);
constexpr uint8_t kLastGeneralName = 8;
constexpr size_t kMaxExtensions = 64;

// The only element in value.
absl::StatusOr<DerReader> EnterOnly(uint8_t tag, std::string_view value, std::string_view what) {
  DerReader outer(value);
  ASSIGN_OR_RETURN(const DerReader reader, outer.Enter(tag, what));
  RETURN_IF_ERROR(outer.End(what));
  return reader;
}

absl::StatusOr<std::string> TextName(const DerElement& name, std::string_view what) {
  for (const char c : name.content) {
    // What follows a NUL is invisible to who reads the name as a C string.
    if (c == '\0' || (c & 0x80) != 0) {
      return InvalidArgument("{} has a name with a NUL or a byte that is not ASCII: {}", what,
                             Quoted(name.content));
    }
  }
  return std::string(name.content);
}

absl::StatusOr<DerElement> ReadGeneralName(DerReader& reader, std::string_view what) {
  absl::StatusOr<DerElement> name = reader.ReadAny();
  if (!name.ok()) {
    return WithContext(name.status(), what);
  }
  if ((name->tag & 0xc0) != 0x80 || (name->tag & 0x1f) > kLastGeneralName) {
    return InvalidArgument("{} has a name with tag {:#04x}", what, name->tag);
  }
  return name;
}

absl::Status ParseSubtrees(DerReader reader, std::vector<std::string>& uris, bool& has_others) {
  constexpr std::string_view kWhat = "name constraints";
  do {
    ASSIGN_OR_RETURN(DerReader subtree, reader.Enter(kDerSequence, kWhat));
    ASSIGN_OR_RETURN(const DerElement base, ReadGeneralName(subtree, kWhat));
    if (base.tag != kUri || !subtree.AtEnd()) {
      has_others = true;
      continue;
    }
    ASSIGN_OR_RETURN(std::string uri, TextName(base, kWhat));
    uris.push_back(std::move(uri));
  } while (!reader.AtEnd());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Extension>> ParseExtensions(DerReader reader) {
  constexpr std::string_view kWhat = "extension";
  std::vector<Extension> extensions;
  do {
    ASSIGN_OR_RETURN(DerReader fields, reader.Enter(kDerSequence, kWhat));
    Extension extension;
    ASSIGN_OR_RETURN(extension.oid, fields.ReadOid(kWhat));
    if (fields.NextIs(kDerBoolean)) {
      ASSIGN_OR_RETURN(extension.critical, fields.ReadBoolean(kWhat));
    }
    ASSIGN_OR_RETURN(const DerElement value, fields.Read(kDerOctetString, kWhat));
    RETURN_IF_ERROR(fields.End(kWhat));
    extension.value = value.content;
    if (std::any_of(extensions.begin(), extensions.end(),
                    [&extension](const Extension& other) { return other.oid == extension.oid; })) {
      return InvalidArgument("extension {} is there twice", extension.oid);
    }
    if (extensions.size() == kMaxExtensions) {
      return InvalidArgument("more than {} extensions", kMaxExtensions);
    }
    extensions.push_back(std::move(extension));
  } while (!reader.AtEnd());
  return extensions;
}

std::string WriteExtensions(const std::vector<Extension>& extensions) {
  std::string list;
  for (const Extension& extension : extensions) {
    list += DerSequence({DerObjectId(extension.oid), extension.critical ? DerTrue() : "",
                         DerOctets(extension.value)});
  }
  return DerWrap(kDerSequence, list);
}

absl::StatusOr<AltNames> ParseAltNames(std::string_view value) {
  constexpr std::string_view kWhat = "subject alternative name";
  ASSIGN_OR_RETURN(DerReader reader, EnterOnly(kDerSequence, value, kWhat));
  AltNames names;
  do {
    ASSIGN_OR_RETURN(const DerElement name, ReadGeneralName(reader, kWhat));
    if (name.tag == kUri || name.tag == kDnsName) {
      ASSIGN_OR_RETURN(std::string text, TextName(name, kWhat));
      (name.tag == kUri ? names.uris : names.dns_names).push_back(std::move(text));
    }
  } while (!reader.AtEnd());
  return names;
}

std::string WriteAltNames(const AltNames& names) {
  std::string list;
  for (const std::string& name : names.dns_names) {
    list += DerWrap(kDnsName, name);
  }
  for (const std::string& uri : names.uris) {
    list += DerWrap(kUri, uri);
  }
  return DerWrap(kDerSequence, list);
}

absl::StatusOr<BasicConstraints> ParseBasicConstraints(std::string_view value) {
  constexpr std::string_view kWhat = "basic constraints";
  ASSIGN_OR_RETURN(DerReader reader, EnterOnly(kDerSequence, value, kWhat));
  BasicConstraints constraints;
  if (reader.NextIs(kDerBoolean)) {
    ASSIGN_OR_RETURN(constraints.is_ca, reader.ReadBoolean(kWhat));
  }
  if (reader.NextIs(kDerInteger)) {
    ASSIGN_OR_RETURN(constraints.path_length, reader.ReadSmall(kWhat));
  }
  RETURN_IF_ERROR(reader.End(kWhat));
  if (!constraints.is_ca) {
    constraints.path_length.reset();
  }
  return constraints;
}

std::string WriteBasicConstraints(const BasicConstraints& constraints) {
  return DerSequence(
      {constraints.is_ca ? DerTrue() : "",
       constraints.path_length ? DerSmall(static_cast<unsigned>(*constraints.path_length)) : ""});
}

absl::StatusOr<std::vector<std::string>> ParseExtendedKeyUsage(std::string_view value) {
  constexpr std::string_view kWhat = "extended key usage";
  ASSIGN_OR_RETURN(DerReader reader, EnterOnly(kDerSequence, value, kWhat));
  std::vector<std::string> purposes;
  do {
    ASSIGN_OR_RETURN(std::string oid, reader.ReadOid(kWhat));
    purposes.push_back(std::move(oid));
  } while (!reader.AtEnd());
  return purposes;
}

absl::StatusOr<NameConstraints> ParseNameConstraints(std::string_view value) {
  constexpr std::string_view kWhat = "name constraints";
  ASSIGN_OR_RETURN(DerReader reader, EnterOnly(kDerSequence, value, kWhat));
  if (reader.AtEnd()) {
    return InvalidArgument("name constraints that constrain nothing");
  }
  NameConstraints constraints;
  if (reader.NextIs(DerContextConstructed(0))) {
    ASSIGN_OR_RETURN(const DerReader permitted, reader.Enter(DerContextConstructed(0), kWhat));
    RETURN_IF_ERROR(ParseSubtrees(permitted, constraints.permitted_uris, constraints.has_others));
  }
  if (reader.NextIs(DerContextConstructed(1))) {
    ASSIGN_OR_RETURN(const DerReader excluded, reader.Enter(DerContextConstructed(1), kWhat));
    RETURN_IF_ERROR(ParseSubtrees(excluded, constraints.excluded_uris, constraints.has_others));
  }
  RETURN_IF_ERROR(reader.End(kWhat));
  return constraints;
}

absl::StatusOr<unsigned> ParseKeyUsage(std::string_view value) {
  DerReader reader(value);
  ASSIGN_OR_RETURN(const unsigned bits, reader.ReadNamedBits("key usage"));
  RETURN_IF_ERROR(reader.End("key usage"));
  return bits;
}

absl::StatusOr<std::string> ParseSubjectKeyId(std::string_view value) {
  DerReader reader(value);
  ASSIGN_OR_RETURN(const DerElement id, reader.Read(kDerOctetString, "subject key identifier"));
  RETURN_IF_ERROR(reader.End("subject key identifier"));
  return std::string(id.content);
}

absl::StatusOr<std::string> ParseAuthorityKeyId(std::string_view value) {
  constexpr std::string_view kWhat = "authority key identifier";
  ASSIGN_OR_RETURN(DerReader reader, EnterOnly(kDerSequence, value, kWhat));
  std::string id;
  if (reader.NextIs(DerContext(0))) {
    ASSIGN_OR_RETURN(const DerElement element, reader.Read(DerContext(0), kWhat));
    id = element.content;
  }
  while (!reader.AtEnd()) {
    RETURN_IF_ERROR(reader.ReadAny().status());
  }
  return id;
}

}  // namespace assay::crypto
