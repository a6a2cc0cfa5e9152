// SPDX-License-Identifier: GPL-3.0-or-later
// api fetch jwt, api validate jwt.
#include <nlohmann/json.hpp>
#include <ostream>

#include "agent/api_client.h"
#include "agent/command_line_command.h"
#include "crypto/digest.h"

namespace assay {
namespace {

constexpr int kIndent = 4;

int Failed(const absl::Status& why, const CommandStreams& streams) {
  streams.err << Message(why) << "\n";
  return 1;
}

// "a,b"
Arguments::Reader CommaReader(std::vector<std::string>& values) {
  return [&values](std::string_view text) {
    values.clear();
    while (!text.empty()) {
      const size_t comma = std::min(text.find(','), text.size());
      values.emplace_back(text.substr(0, comma));
      text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return absl::OkStatus();
  };
}

// Indented, where it is the JSON that it should be.
std::string Indented(const std::string& document) {
  const auto json = nlohmann::ordered_json::parse(document, nullptr, /*allow_exceptions=*/false);
  return json.is_discarded() ? document : json.dump(kIndent);
}

void PrintPretty(const FetchedJwt& fetched, std::ostream& out) {
  for (const FetchedJwt::Svid& svid : fetched.svids) {
    out << "token(" << svid.spiffe_id << "):\n\t" << svid.token.Reveal() << "\n";
    if (!svid.hint.empty()) {
      out << "hint(" << svid.spiffe_id << "):\n\t" << svid.hint << "\n";
    }
  }
  for (const auto& [id, document] : fetched.bundles) {
    out << "bundle(" << id << "):\n\t" << Indented(document) << "\n";
  }
}

void PrintJson(const FetchedJwt& fetched, std::ostream& out) {
  nlohmann::json svids = nlohmann::json::array(), bundles = nlohmann::json::object();
  for (const FetchedJwt::Svid& svid : fetched.svids) {
    svids.push_back({{"hint", svid.hint},
                     {"spiffe_id", svid.spiffe_id},
                     {"svid", std::string(svid.token.Reveal())}});
  }
  for (const auto& [id, document] : fetched.bundles) {
    bundles[id] = crypto::Base64Encode(document);
  }
  const nlohmann::json whole = {{{"svids", svids}}, {{"bundles", bundles}}};
  out << whole.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

// JSON of one line with a space after each comma, as the reference prints claims for people.
std::string Spaced(std::string_view json) {
  std::string spaced;
  bool in_text = false, escaped = false;
  for (const char c : json) {
    spaced += c;
    if (c == ',' && !in_text) {
      spaced += ' ';
    }
    in_text = in_text != (c == '"' && !escaped);
    escaped = c == '\\' && !escaped;
  }
  return spaced;
}

}  // namespace

int FetchJwtCommand(const CommandArguments& arguments, const CommandStreams& streams) {
  Arguments parsed("fetch jwt");
  SocketFlags socket;
  socket.AddTo(parsed, kApiSocketHelp);
  bool json = false;
  absl::Duration timeout = kDefaultTimeout;
  std::vector<std::string> audience;
  std::string spiffe_id;
  parsed.Add("audience", CommaReader(audience), "comma separated list of audience values");
  parsed.Add("format", OutputReader(json), "deprecated; use -output");
  parsed.Add("output", OutputReader(json),
             "Desired output format (pretty, json); default: pretty.");
  parsed.Add("spiffeID", spiffe_id, "SPIFFE ID subject (optional)");
  parsed.Add("timeout", TimeoutReader(timeout), kTimeoutHelp);
  if (absl::Status status = parsed.Parse(arguments); !status.ok()) {
    return Misused(status, parsed.Usage(), streams);
  }
  if (audience.empty()) {
    return Failed(InvalidArgument("audience must be specified"), streams);
  }
  const absl::StatusOr<std::string> path = socket.Path(parsed);
  if (!path.ok()) {
    return Failed(path.status(), streams);
  }
  const auto fetched = FetchJwtSvids(*path, timeout, audience, spiffe_id);
  if (!fetched.ok()) {
    return Failed(fetched.status(), streams);
  }
  json ? PrintJson(*fetched, streams.out) : PrintPretty(*fetched, streams.out);
  return 0;
}

int ValidateJwtCommand(const CommandArguments& arguments, const CommandStreams& streams) {
  Arguments parsed("validate jwt");
  SocketFlags socket;
  socket.AddTo(parsed, kApiSocketHelp);
  bool json = false;
  absl::Duration timeout = kDefaultTimeout;
  std::string audience, token;
  parsed.Add("audience", audience, "expected audience value");
  parsed.Add("output", OutputReader(json),
             "Desired output format (pretty, json); default: pretty.");
  parsed.Add("svid", token, "JWT SVID");
  parsed.Add("timeout", TimeoutReader(timeout), kTimeoutHelp);
  if (absl::Status status = parsed.Parse(arguments); !status.ok()) {
    return Misused(status, parsed.Usage(), streams);
  }
  if (audience.empty() || token.empty()) {
    return Failed(InvalidArgument("{} must be specified", audience.empty() ? "audience" : "svid"),
                  streams);
  }
  const absl::StatusOr<std::string> path = socket.Path(parsed);
  if (!path.ok()) {
    return Failed(path.status(), streams);
  }
  const auto validated = ValidateJwtSvid(*path, timeout, audience, token);
  if (!validated.ok()) {
    return Failed(validated.status(), streams);
  }
  if (json) {
    const std::string id = nlohmann::json(validated->spiffe_id).dump();
    streams.out << fmt::format("{{\"claims\":{},\"spiffe_id\":{}}}\n", validated->claims, id);
  } else {
    streams.out << fmt::format("SVID is valid.\nSPIFFE ID : {}\nClaims    : {}\n",
                               validated->spiffe_id, Spaced(validated->claims));
  }
  return 0;
}

}  // namespace assay
