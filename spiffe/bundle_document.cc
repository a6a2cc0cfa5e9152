// SPDX-License-Identifier: GPL-3.0-or-later
// The JWKS document form of a trust bundle (TDB §4, X509-SVID §6, JWT-SVID §6, RFC 7517).
#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "crypto/digest.h"
#include "spiffe/trust_bundle.h"

namespace assay {
namespace {

using crypto::Certificate;
using crypto::PublicKey;
using nlohmann::json;

constexpr size_t kMaxDocumentBytes = 4 << 20;
constexpr size_t kMaxDepth = 32;

// Walks a text before anything is built of it: well-formed, not deep, and no object with two
// members of one name, which readers would resolve differently.
class StrictnessCheck final : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return Enter(); }
  bool start_array(std::size_t) override { return Enter(); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }
  bool key(string_t& name) override {
    if (!names_.back().insert(name).second) {
      problem_ = InvalidArgument("member {} appears twice in one object", Quoted(name));
    }
    return problem_.ok();
  }
  bool parse_error(std::size_t position, const std::string&, const json::exception&) override {
    problem_ = InvalidArgument("is not json, at byte {}", position);
    return false;
  }
  const absl::Status& problem() const { return problem_; }

 private:
  bool Enter() {
    names_.emplace_back();
    if (names_.size() > kMaxDepth) {
      problem_ = InvalidArgument("is nested deeper than {} levels", kMaxDepth);
    }
    return problem_.ok();
  }
  bool Leave() {
    names_.pop_back();
    return true;
  }

  std::vector<std::set<std::string>> names_;
  absl::Status problem_;
};

// A member that is a string; empty when it is absent or something else.
std::string StringMember(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

absl::StatusOr<std::string> BytesMember(const json& object, const char* name) {
  auto bytes = crypto::Base64UrlDecode(StringMember(object, name));
  if (!bytes.ok() || bytes->empty()) {
    return InvalidArgument("member {} is not base64url of a number", name);
  }
  return bytes;
}

std::string CurveOf(const PublicKey& key) { return fmt::format("P-{}", key.bits()); }

bool IsKnownKind(const json& jwk) {
  const std::string kind = StringMember(jwk, "kty");
  const std::string curve = StringMember(jwk, "crv");
  return kind == "RSA" ||
         (kind == "EC" && (curve == "P-256" || curve == "P-384" || curve == "P-521"));
}

std::string WithoutLeadingZeros(std::string bytes) {
  bytes.erase(0, std::min(bytes.find_first_not_of('\0'), bytes.size()));
  return bytes;
}

absl::StatusOr<PublicKey> ParseKey(const json& jwk) {
  if (StringMember(jwk, "kty") == "RSA") {
    ASSIGN_OR_RETURN(const std::string modulus, BytesMember(jwk, "n"));
    ASSIGN_OR_RETURN(const std::string exponent, BytesMember(jwk, "e"));
    return PublicKey::FromRsa(WithoutLeadingZeros(modulus), WithoutLeadingZeros(exponent));
  }
  ASSIGN_OR_RETURN(const std::string x, BytesMember(jwk, "x"));
  ASSIGN_OR_RETURN(const std::string y, BytesMember(jwk, "y"));
  ASSIGN_OR_RETURN(PublicKey key, PublicKey::FromEcPoint(x, y));
  if (CurveOf(key) != StringMember(jwk, "crv")) {
    return InvalidArgument("coordinates are not of curve {}", StringMember(jwk, "crv"));
  }
  return key;
}

// Whether the key members of the JWK, which RFC 7517 §4.7 wants beside x5c, are the certificate's.
bool Matches(const json& jwk, const PublicKey& key) {
  const auto is = [&](const char* name, const std::string& wanted) {
    const auto bytes = BytesMember(jwk, name);
    return bytes.ok() && WithoutLeadingZeros(*bytes) == WithoutLeadingZeros(wanted);
  };
  if (key.is_rsa()) {
    return StringMember(jwk, "kty") == "RSA" && is("n", key.rsa_modulus()) &&
           is("e", key.rsa_exponent());
  }
  return StringMember(jwk, "crv") == CurveOf(key) && is("x", key.ec_x()) && is("y", key.ec_y());
}

// An entry without certificates is ignored, and so are certificates after the first (X509-SVID
// §6.2).
absl::Status AddX509Authority(const json& jwk, TrustBundle& bundle) {
  const auto x5c = jwk.find("x5c");
  if (x5c == jwk.end() || !x5c->is_array() || x5c->empty()) {
    return absl::OkStatus();
  }
  const json& first = x5c->front();
  auto der = first.is_string() ? crypto::Base64Decode(first.get<std::string>())
                               : InvalidArgument("not a string");
  if (!der.ok()) {
    return InvalidArgument("member x5c does not begin with base64 of a certificate");
  }
  ASSIGN_OR_RETURN(Certificate certificate, Certificate::Parse(*der));
  if (!Matches(jwk, certificate.public_key())) {
    return InvalidArgument("key is not that of the certificate beside it");
  }
  bundle.x509_authorities.push_back({.certificate = std::move(certificate)});
  return absl::OkStatus();
}

// A key without an identifier cannot be asked for by one, and of two with one identifier only the
// first can be meant; both are ignored.
absl::Status AddJwtAuthority(const json& jwk, TrustBundle& bundle) {
  const std::string key_id = StringMember(jwk, "kid");
  const auto has_key_id = [&](const JwtAuthority& authority) { return authority.key_id == key_id; };
  if (key_id.empty() ||
      std::any_of(bundle.jwt_authorities.begin(), bundle.jwt_authorities.end(), has_key_id)) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(PublicKey key, ParseKey(jwk));
  bundle.jwt_authorities.push_back({.key_id = key_id, .public_key = std::move(key)});
  return absl::OkStatus();
}

absl::Status AddAuthority(const json& jwk, TrustBundle& bundle) {
  if (!jwk.is_object()) {
    return InvalidArgument("is not an object");
  }
  const std::string use = StringMember(jwk, "use");
  if (!IsKnownKind(jwk)) {
    return absl::OkStatus();
  }
  if (use == "x509-svid") {
    return AddX509Authority(jwk, bundle);
  }
  return use == "jwt-svid" ? AddJwtAuthority(jwk, bundle) : absl::OkStatus();
}

absl::Status ReadSequence(const json& document, TrustBundle& bundle) {
  const auto found = document.find("spiffe_sequence");
  if (found == document.end()) {
    return absl::OkStatus();
  }
  if (!found->is_number_unsigned()) {
    return InvalidArgument("spiffe_sequence is not an unsigned 64-bit integer");
  }
  bundle.sequence_number = found->get<uint64_t>();
  return absl::OkStatus();
}

absl::Status ReadRefreshHint(const json& document, TrustBundle& bundle) {
  const auto found = document.find("spiffe_refresh_hint");
  if (found == document.end()) {
    return absl::OkStatus();
  }
  constexpr uint64_t kLargest = std::numeric_limits<int64_t>::max();
  if (found->is_number_unsigned()) {
    const auto seconds = found->get<uint64_t>();
    bundle.refresh_hint = seconds > kLargest ? absl::InfiniteDuration()
                                             : absl::Seconds(static_cast<int64_t>(seconds));
    return absl::OkStatus();
  }
  if (found->is_number_integer()) {
    bundle.refresh_hint = absl::Seconds(found->get<int64_t>());
    return absl::OkStatus();
  }
  return InvalidArgument("spiffe_refresh_hint is not an integer");
}

absl::StatusOr<json> ParseObject(std::string_view text) {
  if (text.size() > kMaxDocumentBytes) {
    return InvalidArgument("has {} bytes, at most {} are allowed", text.size(), kMaxDocumentBytes);
  }
  StrictnessCheck check;
  if (!json::sax_parse(text, &check)) {
    return check.problem();
  }
  json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) {
    return InvalidArgument("is not a json object");
  }
  return document;
}

absl::Status Read(const json& document, TrustBundle& bundle) {
  RETURN_IF_ERROR(ReadSequence(document, bundle));
  RETURN_IF_ERROR(ReadRefreshHint(document, bundle));
  const auto keys = document.find("keys");
  if (keys == document.end() || !keys->is_array()) {
    return InvalidArgument("has no keys array");
  }
  for (size_t i = 0; i < keys->size(); ++i) {
    if (absl::Status bad = AddAuthority((*keys)[i], bundle); !bad.ok()) {
      return WithContext(bad, fmt::format("keys[{}]", i));
    }
  }
  return absl::OkStatus();
}

json ToJwk(const PublicKey& key) {
  if (key.is_rsa()) {
    return {{"kty", "RSA"},
            {"n", crypto::Base64UrlEncode(key.rsa_modulus())},
            {"e", crypto::Base64UrlEncode(key.rsa_exponent())}};
  }
  return {{"kty", "EC"},
          {"crv", CurveOf(key)},
          {"x", crypto::Base64UrlEncode(key.ec_x())},
          {"y", crypto::Base64UrlEncode(key.ec_y())}};
}

std::string Dump(const json& document) {
  return document.dump(-1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
}

}  // namespace

absl::StatusOr<TrustBundle> ParseBundleDocument(const TrustDomain& trust_domain,
                                                std::string_view json_text) {
  TrustBundle bundle{.trust_domain = trust_domain,
                     .x509_authorities = {},
                     .jwt_authorities = {},
                     .sequence_number = {},
                     .refresh_hint = {}};
  const auto document = ParseObject(json_text);
  absl::Status read = document.ok() ? Read(*document, bundle) : document.status();
  if (!read.ok()) {
    return InvalidArgument("bundle document of {}: {}", trust_domain.name(), Message(read));
  }
  return bundle;
}

std::string ToBundleDocument(const TrustBundle& bundle) {
  json keys = json::array();
  for (const X509Authority& authority : bundle.x509_authorities) {
    json jwk = ToJwk(authority.certificate.public_key());
    jwk["use"] = "x509-svid";
    jwk["x5c"] = json::array({crypto::Base64Encode(authority.certificate.der())});
    keys.push_back(std::move(jwk));
  }
  for (const JwtAuthority& authority : bundle.jwt_authorities) {
    json jwk = ToJwk(authority.public_key);
    jwk["use"] = "jwt-svid";
    jwk["kid"] = authority.key_id;
    keys.push_back(std::move(jwk));
  }
  json document = {{"keys", std::move(keys)}};
  if (bundle.sequence_number.has_value()) {
    document["spiffe_sequence"] = *bundle.sequence_number;
  }
  if (bundle.refresh_hint.has_value()) {
    document["spiffe_refresh_hint"] = absl::ToInt64Seconds(*bundle.refresh_hint);
  }
  return Dump(document);
}

std::string ToJwtBundleDocument(const TrustBundle& bundle) {
  json keys = json::array();
  for (const JwtAuthority& authority : bundle.jwt_authorities) {
    json jwk = ToJwk(authority.public_key);
    jwk["kid"] = authority.key_id;
    keys.push_back(std::move(jwk));
  }
  return Dump({{"keys", std::move(keys)}});
}

}  // namespace assay
