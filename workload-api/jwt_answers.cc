// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/jwt_answers.h"

#include <nlohmann/json.hpp>

#include "spiffe/workload.pb.h"
#include "workload-api/answer_bytes.h"

namespace assay {
namespace {

using google::protobuf::Value;
using nlohmann::json;

// Each level takes three of the hundred that a Protobuf parser goes down.
constexpr int kMaxDepth = 30;

bool Fill(const json& from, int depth, Value& to) {
  if (depth > kMaxDepth) {
    return false;
  }
  bool fits = true;
  switch (from.type()) {
    case json::value_t::object:
      to.mutable_struct_value();
      for (const auto& [name, member] : from.items()) {
        fits =
            fits && Fill(member, depth + 1, (*to.mutable_struct_value()->mutable_fields())[name]);
      }
      break;
    case json::value_t::array:
      to.mutable_list_value();
      for (const json& item : from) {
        fits = fits && Fill(item, depth + 1, *to.mutable_list_value()->add_values());
      }
      break;
    case json::value_t::string:
      to.set_string_value(from.get_ref<const std::string&>());
      break;
    case json::value_t::boolean:
      to.set_bool_value(from.get<bool>());
      break;
    case json::value_t::null:
    case json::value_t::discarded:
      to.set_null_value(google::protobuf::NULL_VALUE);
      break;
    default:
      to.set_number_value(from.get<double>());
  }
  return fits;
}

}  // namespace

std::string JwtBundlesAnswer(const JwtBundles& bundles) {
  JWTBundlesResponse response;
  for (const auto& [trust_domain, document] : bundles) {
    (*response.mutable_bundles())["spiffe://" + std::string(trust_domain)] = std::string(document);
  }
  return AnswerBytes(response);
}

absl::Status FillValidated(const JwtSvid& svid, const ShownClaims& shown,
                           ValidateJWTSVIDResponse& response) {
  response.set_spiffe_id(svid.id().ToString());
  const json claims = json::parse(svid.claims(), nullptr, /*allow_exceptions=*/false);
  auto& fields = *response.mutable_claims()->mutable_fields();
  for (const auto& [name, claim] : claims.items()) {
    const bool is_always = name == "sub" || name == "exp" || name == "aud";
    if (!shown.all && !is_always && !shown.others.contains(name)) {
      continue;
    }
    // An audience alone may be written without a list (RFC 7519 §4.1.3), and is told as one of one.
    const bool is_alone = name == "aud" && claim.is_string();
    Value& field = fields[name];
    if (!Fill(claim, 1, is_alone ? *field.mutable_list_value()->add_values() : field)) {
      return InvalidArgument("claim {} of the token is nested too deeply", Quoted(name));
    }
  }
  return absl::OkStatus();
}

}  // namespace assay
