// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/metrics_names.h"

#include <absl/strings/ascii.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace assay {
namespace {

struct Served {
  std::string_view service;
  std::string_view name;  // Of its methods' metrics.
  std::string_view api;   // Of its connections'; empty: they are not counted.
  std::array<std::string_view, 7> methods;
};

constexpr std::array<Served, 9> kServed = {{
    {"SpiffeWorkloadAPI",
     "workload_api",
     "workload_api",
     {"FetchX509SVID", "FetchX509Bundles", "FetchJWTSVID", "FetchJWTBundles", "ValidateJWTSVID",
      "FetchWITSVID", "FetchWITBundles"}},
    {"envoy.service.secret.v3.SecretDiscoveryService",
     "sds_v3",
     "sds_api",
     {"StreamSecrets", "FetchSecrets", "DeltaSecrets"}},
    {"grpc.health.v1.Health", "health", "", {"Check", "Watch"}},
    {"grpc.reflection.v1.ServerReflection",
     "grpc_reflection_v1_server_reflection",
     "",
     {"ServerReflectionInfo"}},
    {"grpc.reflection.v1alpha.ServerReflection",
     "grpc_reflection_v1alpha_server_reflection",
     "",
     {"ServerReflectionInfo"}},
    {"assay.agent.v1.Explain", "explain", "explain_api", {"ExplainProcess", "ExplainRefusals"}},
    {"spire.agent.debug.v1.Debug", "debug", "debug_api", {"GetInfo"}},
    {"spire.api.agent.delegatedidentity.v1.DelegatedIdentity",
     "delegated_identity",
     "delegated_identity_api",
     {"SubscribeToX509SVIDs", "SubscribeToX509Bundles", "FetchJWTSVIDs", "SubscribeToJWTBundles"}},
    {"spire.api.agent.logger.v1.Logger",
     "logger",
     "logger_api",
     {"GetLogger", "SetLogLevel", "ResetLogLevel"}},
}};

const Served* Find(std::string_view service) {
  const auto* at = std::find_if(kServed.begin(), kServed.end(),
                                [&](const Served& served) { return served.service == service; });
  return at == kServed.end() ? nullptr : at;
}

bool IsUpper(char c) { return absl::ascii_isupper(static_cast<unsigned char>(c)); }
bool IsLower(char c) { return absl::ascii_islower(static_cast<unsigned char>(c)); }
bool IsWord(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }

// PascalCase in lower case; an underscore begins each word, and a run of capitals is one word.
std::string SnakeCase(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (!IsWord(c)) {
      out += '_';
      continue;
    }
    const bool beside_lower =
        i > 0 && i + 1 < name.size() && (IsLower(name[i + 1]) || IsLower(name[i - 1]));
    if (IsUpper(c) && beside_lower && out.back() != '_') {
      out += '_';
    }
    out += absl::ascii_tolower(static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace

std::string StatusName(absl::StatusCode code) {
  constexpr std::array<std::string_view, 17> kNames = {
      "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
      "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
      "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
      "DataLoss", "Unauthenticated"};
  const auto number = static_cast<size_t>(code);
  return number < kNames.size() ? std::string(kNames[number])
                                : fmt::format("Code({})", static_cast<int>(code));
}

std::string SanitizedLabel(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsWord(text[i]) || text[i] == '_') {
      out += text[i];
      continue;
    }
    while (i + 1 < text.size() && !IsWord(text[i + 1]) && text[i + 1] != '_') {
      ++i;
    }
    if (i + 1 < text.size() && text[i + 1] == '_') {
      ++i;
    }
    out += '_';
  }
  return out;
}

std::string MethodName(std::string_view full_method) {
  const size_t slash = full_method.rfind('/');
  if (!full_method.starts_with('/') || slash == 0) {
    return "other";
  }
  const std::string_view method = full_method.substr(slash + 1);
  const Served* const served = Find(full_method.substr(1, slash - 1));
  if (served == nullptr || method.empty() ||
      std::find(served->methods.begin(), served->methods.end(), method) == served->methods.end()) {
    return "other";
  }
  // Its capitals would begin words in places of their own.
  return fmt::format(
      "{}_{}", served->name,
      method == "SubscribeToX509SVIDs" ? "subscribe_to_x509_svids" : SnakeCase(method));
}

std::string_view ApiName(std::string_view service) {
  const Served* const served = Find(service);
  return served == nullptr ? "" : served->api;
}

}  // namespace assay
