// SPDX-License-Identifier: GPL-3.0-or-later
// An agent whose key is in a TPM connects to an authority again and again, each time with a
// signature of the TPM. ASSAY_TPM_RECONNECTS says how often; unset: often enough to see a leak.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "agent/identity_keys_tpm.h"
#include "tests/integration/running_authority.h"
#include "tests/support/software_tpm.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

constexpr int kReconnects = 20;

int ReconnectsWanted() {
  const char* const wanted = std::getenv("ASSAY_TPM_RECONNECTS");
  return wanted == nullptr ? kReconnects : std::atoi(wanted);
}

size_t OpenDescriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

// Resident, of this process: agent's side and authority's.
size_t MemoryKib() {
  size_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<size_t>(getpagesize()) / 1024;
}

std::string CreateToken(const RunningAuthority& authority) {
  namespace agent = spire::api::server::agent::v1;
  agent::CreateJoinTokenRequest request;
  request.set_ttl(600);
  spire::api::types::JoinToken token;
  grpc::ClientContext context;
  EXPECT_TRUE(
      agent::Agent::NewStub(authority.Operator())->CreateJoinToken(&context, request, &token).ok());
  return token.value();
}

TEST(TpmReconnectTest, LeavesNothingBehindInTheTpm) {
  ASSAY_SOFTWARE_TPM(software);
  const TempFolder folder;
  const RunningAuthority authority(RunningAuthority::DefaultOptions(folder));
  const auto tpm = std::make_shared<tpm::LazyTpm>(tpm::Tpm::Options{.device = software->socket()});
  const auto keys = MakeTpmKeys(
      {.tpm = tpm, .path = folder.path() + "/tpm-agent-keys", .owner_hierarchy_password = {}});
  const auto upstream = authority.Agent();
  const auto key = keys->Generate().value();
  JoinTokenAttestor attestor{Secret(CreateToken(authority))};
  const AttestationResult attested = upstream->Attest(attestor, *key, absl::Minutes(1)).value();
  upstream->SetBundle(upstream->FetchBundle().value());

  const int wanted = ReconnectsWanted();
  size_t descriptors = 0, memory = 0;
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < wanted; ++i) {
    upstream->SetSvid(X509Svid{.id = attested.id, .chain = attested.chain, .key = key});
    ASSERT_OK(upstream->PostStatus("test")) << i;
    if (i == 0) {
      descriptors = OpenDescriptors();
    }
    if (i == wanted / 10) {
      memory = MemoryKib();
    }
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begun;
  std::printf("%d connections, %.2f ms each; %zu KiB after the first tenth, %zu KiB at the end\n",
              wanted, took.count() / wanted, memory, MemoryKib());

  const auto signing = std::chrono::steady_clock::now();
  ASSERT_OK(Sign(*key, key->public_key().DefaultScheme(), "x"));
  const std::chrono::duration<double, std::milli> signature =
      std::chrono::steady_clock::now() - signing;
  std::printf("a signature takes the TPM %.2f ms\n", signature.count());

  EXPECT_EQ(software->CountHandles("handles-transient"), 0);
  EXPECT_EQ(software->CountHandles("handles-loaded-session"), 0);
  EXPECT_EQ(software->CountHandles("handles-saved-session"), 0);
  // The connection before may still be closing.
  EXPECT_LE(OpenDescriptors(), descriptors + 8);
}

}  // namespace
}  // namespace assay
