// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/config.h"

#include <cstdlib>
#include <filesystem>

#include "authority/config_options.h"
#include "base/files.h"
#include "base/option_table.h"
#include "spiffe/spiffe_id.h"

namespace assay {
namespace {

// An argument has no place in a text: the name of its option says which it is.
std::string WithoutPlace(std::string error) {
  constexpr std::string_view kPlace = ":1:1: ";
  if (const size_t place = error.find(kPlace); place != error.npos) {
    error.replace(place, kPlace.size(), ": ");
  }
  return error;
}

void ApplyOverrides(const AuthorityOverrides& overrides, AuthorityDraft& draft,
                    ConfigReport& report) {
  for (const auto& [name, text] : overrides) {
    ConfigReport mistakes("command line");
    ConfigValue block, value;
    block.kind = ConfigValue::Kind::kObject;
    value.kind = ConfigValue::Kind::kString;
    value.text = text;
    block.members.push_back({name, {}, std::move(value)});
    ReadOptions(block, AuthorityServerOptions(draft), "server", mistakes);
    for (const std::string& error : mistakes.errors()) {
      report.AddError(WithoutPlace(error));
    }
  }
}

// What is accepted though the authority does it otherwise.
void WarnOfFixedPaths(const AuthorityDraft& draft, std::vector<std::string>& warnings) {
  namespace fs = std::filesystem;
  const fs::path data = fs::path(draft.options.data_dir).lexically_normal();
  const auto warn = [&](std::string_view option, const std::string& set, const fs::path& used) {
    if (!set.empty() && fs::path(set).lexically_normal() != used) {
      warnings.push_back(fmt::format("{} has no effect: {} is used", option, used.string()));
    }
  };
  warn("DataStore \"sql\": connection_string", draft.connection_string, data / "datastore.sqlite3");
  if (!draft.keys_path.empty()) {
    warn("KeyManager \"disk\": keys_path", draft.keys_path, data / "keys");
  }
}

void CheckCaSubject(const AuthorityDraft& draft, ConfigReport& report) {
  const bool is_default = draft.ca_common_name.empty() &&
                          draft.ca_country == std::vector<std::string>{"US"} &&
                          draft.ca_organization == std::vector<std::string>{"SPIFFE"};
  const bool is_empty =
      draft.ca_common_name.empty() && draft.ca_country.empty() && draft.ca_organization.empty();
  if (draft.has_ca_subject && !is_default && !is_empty) {
    report.AddError("ca_subject is not supported but for country \"US\", organization \"SPIFFE\"");
  }
}

// What no single option can say: what is absent.
void CheckWhole(const AuthorityDraft& draft, ConfigReport& report) {
  const AuthorityOptions& options = draft.options;
  if (!draft.has_server) {
    report.AddError("server section must be configured");
  }
  if (options.data_dir.empty()) {
    report.AddError("data_dir must be configured");
  }
  if (options.bind_address.empty()) {
    report.AddError("bind_address must not be empty");
  }
  if (options.socket_path.empty()) {
    report.AddError("socket_path must not be empty");
  }
  CheckCaSubject(draft, report);
  if (!draft.has_plugins) {
    report.AddError("plugins section must be configured");
    return;
  }
  if (!draft.has_data_store) {
    report.AddError("plugins: one DataStore must be configured");
  }
  if (!draft.has_key_manager) {
    report.AddError("plugins: one KeyManager must be configured");
  }
  if (options.node_verifiers.empty()) {
    report.AddError("plugins: at least one NodeAttestor must be configured");
  }
}

// By its name or its SPIFFE ID.
void SetTrustDomain(AuthorityDraft& draft, ConfigReport& report) {
  constexpr std::string_view kScheme = "spiffe://";
  if (draft.trust_domain.empty()) {
    report.AddError("trust_domain must be configured");
    return;
  }
  std::string_view name = draft.trust_domain;
  name.remove_prefix(name.starts_with(kScheme) ? kScheme.size() : 0);
  if (auto parsed = TrustDomain::Parse(name); parsed.ok()) {
    draft.options.trust_domain = *std::move(parsed);
  } else {
    report.AddError(fmt::format("trust_domain: {}", Message(parsed.status())));
  }
}

bool IsNameByte(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::string ExpandVariables(std::string_view text) {
  std::string expanded;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool braced = text.substr(i).starts_with("${");
    size_t begin = i + (braced ? 2 : 1);
    size_t end = begin;
    while (text[i] == '$' && end < text.size() && IsNameByte(text[end])) {
      ++end;
    }
    if (end == begin || (braced && (end == text.size() || text[end] != '}'))) {
      expanded += text[i];
      continue;
    }
    if (const char* value = std::getenv(std::string(text.substr(begin, end - begin)).c_str())) {
      expanded += value;
    }
    i = braced ? end : end - 1;
  }
  return expanded;
}

}  // namespace

absl::StatusOr<AuthorityConfig> ParseAuthorityConfig(std::string_view name, std::string_view text,
                                                     const AuthorityOverrides& overrides) {
  ASSIGN_OR_RETURN(const ConfigValue root, ParseConfig(name, text));
  // Stands in until the text's own is read; nothing is returned with it.
  ASSIGN_OR_RETURN(TrustDomain unset, TrustDomain::Parse("unset"));
  AuthorityOptions options{.trust_domain = std::move(unset),
                           .data_dir = "",
                           .agent_ttl = {},
                           .jwt_key_type = {},
                           .jwt_issuer = "",
                           .log = {}};
  AuthorityDraft draft(options);
  ConfigReport report(name);
  ReadOptions(root, AuthorityRootOptions(draft), "", report);
  ApplyOverrides(overrides, draft, report);
  SetTrustDomain(draft, report);
  CheckWhole(draft, report);
  RETURN_IF_ERROR(report.ToStatus());
  std::vector<std::string> warnings = report.warnings();
  WarnOfFixedPaths(draft, warnings);
  return AuthorityConfig{std::move(options), std::move(warnings)};
}

absl::StatusOr<AuthorityConfig> LoadAuthorityConfig(const std::string& path, bool expand_env,
                                                    const AuthorityOverrides& overrides) {
  auto text = ReadFile(path, kMaxConfigBytes);
  if (text.status().code() == absl::StatusCode::kNotFound) {
    return NotFound("could not find config file {}: please use the -config flag",
                    std::filesystem::absolute(path).string());
  }
  if (!text.ok()) {
    return WithContext(text.status(), fmt::format("unable to read configuration at {}", path));
  }
  return ParseAuthorityConfig(path, expand_env ? ExpandVariables(*text) : *text, overrides);
}

}  // namespace assay
