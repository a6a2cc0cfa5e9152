// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/cli_output.h"

#include <google/protobuf/util/json_util.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "spiffe/spiffe_id.h"
#include "spire/api/types/agent.pb.h"
#include "spire/api/types/entry.pb.h"

namespace assay {
namespace {

namespace types = spire::api::types;

// Text for use inside of HTML, as Go's JSON is: outside of strings none of these occurs.
std::string WithoutHtml(std::string_view json) {
  std::string safe;
  safe.reserve(json.size() + 1);
  for (char c : json) {
    if (c == '<' || c == '>' || c == '&') {
      safe += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      safe += c;
    }
  }
  return safe;
}

// For a terminal: control characters, of ASCII and U+0080 to U+009F, as \xNN.
std::string Printable(std::string_view text) {
  std::string safe;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool wide =
        byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (byte < 0x20 || byte == 0x7f || wide) {
      i += wide ? 1 : 0;
      safe += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
    } else {
      safe += text[i];
    }
  }
  return safe;
}

std::string TtlText(int32_t seconds) {
  return seconds == 0 ? "default" : fmt::format("{}", seconds);
}

}  // namespace

std::string ToJsonLine(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string unsorted;
  if (!google::protobuf::util::MessageToJsonString(message, &unsorted, options).ok()) {
    return "{\"error\":\"answer cannot be written as JSON\"}\n";
  }
  const auto json = nlohmann::json::parse(unsorted, nullptr, false);
  return WithoutHtml(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)) + "\n";
}

std::string EntryText(const types::Entry& entry) {
  std::string text;
  const auto line = [&text](std::string_view name, std::string_view value) {
    text += fmt::format("{:<24}: {}\n", name, Printable(value));
  };
  line("Entry ID", entry.id().empty() ? "(none)" : entry.id());
  line("SPIFFE ID", IdText(entry.spiffe_id()));
  line("Parent ID", IdText(entry.parent_id()));
  line("Revision", fmt::format("{}", entry.revision_number()));
  if (entry.downstream()) {
    line("Downstream", "true");
  }
  line("X509-SVID TTL", TtlText(entry.x509_svid_ttl()));
  line("JWT-SVID TTL", TtlText(entry.jwt_svid_ttl()));
  if (entry.expires_at() != 0) {
    line("Expiration time", TimeText(entry.expires_at(), absl::UTCTimeZone()));
  }
  for (const types::Selector& selector : entry.selectors()) {
    line("Selector", selector.type() + ":" + selector.value());
  }
  for (const std::string& trust_domain : entry.federates_with()) {
    line("FederatesWith", trust_domain);
  }
  for (const std::string& name : entry.dns_names()) {
    line("DNS name", name);
  }
  if (entry.admin()) {
    line("Admin", "true");
  }
  if (entry.store_svid()) {
    line("StoreSvid", "true");
  }
  if (!entry.hint().empty()) {
    line("Hint", entry.hint());
  }
  if (entry.additional_attributes().disable_x509_svid_prefetch()) {
    line("DisableX509SvidPrefetch", "true");
  }
  if (entry.additional_attributes().jwt_svid_include_jti()) {
    line("JwtSvidIncludeJti", "true");
  }
  return text + "\n";
}

std::string AgentText(const types::Agent& agent) {
  std::string text;
  const auto line = [&text](std::string_view name, std::string_view value) {
    text += fmt::format("{:<18}: {}\n", name, Printable(value));
  };
  line("SPIFFE ID", IdText(agent.id()));
  line("Attestation type", agent.attestation_type());
  line("Expiration time", TimeText(agent.x509svid_expires_at(), absl::LocalTimeZone()));
  if (agent.banned()) {
    line("Banned", "true");
  } else {
    line("Serial number", agent.x509svid_serial_number());
  }
  line("Can re-attest", agent.can_reattest() ? "true" : "false");
  if (!agent.agent_version().empty()) {
    line("Agent version", agent.agent_version());
  }
  return text + "\n";
}

std::string Counted(int64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string GoQuoted(std::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\r') {
      quoted += "\\r";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      quoted += fmt::format("\\x{:02x}", byte);
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string TimeText(int64_t unix_seconds, absl::TimeZone zone) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S %z %Z", absl::FromUnixSeconds(unix_seconds), zone);
}

std::string IdText(const types::SPIFFEID& id) {
  return id.trust_domain().empty() && id.path().empty()
             ? ""
             : "spiffe://" + id.trust_domain() + id.path();
}

absl::StatusOr<types::SPIFFEID> ParseIdFlag(std::string_view text) {
  ASSIGN_OR_RETURN(const SpiffeId parsed, SpiffeId::Parse(text));
  types::SPIFFEID id;
  id.set_trust_domain(parsed.trust_domain().name());
  id.set_path(parsed.path());
  return id;
}

absl::StatusOr<types::Selector> ParseSelectorFlag(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == text.npos) {
    return InvalidArgument("selector {} must be formatted as type:value", GoQuoted(text));
  }
  types::Selector selector;
  selector.set_type(std::string(text.substr(0, colon)));
  selector.set_value(std::string(text.substr(colon + 1)));
  return selector;
}

absl::StatusOr<int32_t> ToInt32(int64_t value, std::string_view what) {
  if (value < std::numeric_limits<int32_t>::min() || value > std::numeric_limits<int32_t>::max()) {
    return InvalidArgument("invalid value for {}: overflow converting int({}) to int32", what,
                           value);
  }
  return static_cast<int32_t>(value);
}

absl::StatusOr<int32_t> TtlSeconds(absl::Duration ttl) {
  return ToInt32(absl::ToInt64Seconds(absl::Ceil(ttl, absl::Seconds(1))), "TTL");
}

std::string CappedText(std::string_view kind, int64_t expires_at, absl::Duration ttl,
                       absl::Time now) {
  const absl::Time end = absl::FromUnixSeconds(expires_at);
  // The end is in whole seconds, so up to one is lost by rounding alone.
  if (end - now >= ttl - absl::Seconds(1)) {
    return "";
  }
  return fmt::format("{} lifetime was capped shorter than specified ttl; expires \"{}\"\n", kind,
                     absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", end, absl::UTCTimeZone()));
}

}  // namespace assay
