// SPDX-License-Identifier: GPL-3.0-or-later
// The embedded authority as operators see it on its socket and agents over TLS.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "crypto/issue.h"
#include "google/protobuf/empty.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/integration/running_authority.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

namespace agent = spire::api::server::agent::v1;
namespace bundle = spire::api::server::bundle::v1;
namespace entry = spire::api::server::entry::v1;
namespace svid = spire::api::server::svid::v1;
namespace types = spire::api::types;

constexpr absl::Duration kPatience = absl::Minutes(1);

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// Takes everything an authority tells.
class Everything final : public EntrySink {
 public:
  bool NeedsEntry(const EntryRevision& revision) override {
    revisions.push_back(revision.id);
    return true;
  }
  void OnEntry(RegistrationEntry taken) override { entries.push_back(std::move(taken)); }

  std::vector<std::string> revisions;
  std::vector<RegistrationEntry> entries;
};

types::Entry MakeEntry(const std::string& parent, const std::string& path) {
  types::Entry made;
  made.mutable_parent_id()->set_trust_domain("example.org");
  made.mutable_parent_id()->set_path(parent);
  made.mutable_spiffe_id()->set_trust_domain("example.org");
  made.mutable_spiffe_id()->set_path(path);
  types::Selector* selector = made.add_selectors();
  selector->set_type("unix");
  selector->set_value("uid:1000");
  return made;
}

class AuthorityTest : public testing::Test {
 protected:
  void Start() {
    authority_.reset();
    authority_ = std::make_unique<RunningAuthority>(options_);
    channel_ = authority_->Operator();
  }
  void SetUp() override { Start(); }

  std::string CreateToken() {
    agent::CreateJoinTokenRequest request;
    request.set_ttl(60);
    types::JoinToken token;
    grpc::ClientContext context;
    EXPECT_TRUE(agent::Agent::NewStub(channel_)->CreateJoinToken(&context, request, &token).ok());
    return token.value();
  }

  entry::BatchCreateEntryResponse Create(const std::vector<types::Entry>& entries) {
    entry::BatchCreateEntryRequest request;
    request.mutable_entries()->Assign(entries.begin(), entries.end());
    entry::BatchCreateEntryResponse response;
    grpc::ClientContext context;
    const grpc::Status status =
        entry::Entry::NewStub(channel_)->BatchCreateEntry(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  // An attested agent, and what it is.
  struct AttestedAgent {
    std::unique_ptr<Upstream> upstream;
    std::shared_ptr<const crypto::PrivateKey> key;
    AttestationResult result;

    void Use(const AttestationResult& later) {
      upstream->SetSvid(X509Svid{.id = later.id, .chain = later.chain, .key = key});
    }
    std::string path() const { return result.id.path(); }
  };
  AttestedAgent Attest() {
    AttestedAgent attested{
        .upstream = authority_->Agent(),
        .key = crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value(),
        .result = {.id = SpiffeId::Parse("spiffe://example.org").value(), .chain = {}}};
    JoinTokenAttestor attestor{Secret(CreateToken())};
    attested.result = attested.upstream->Attest(attestor, *attested.key, kPatience).value();
    attested.upstream->SetBundle(attested.upstream->FetchBundle().value());
    attested.Use(attested.result);
    return attested;
  }

  std::string Csr(const crypto::PrivateKey& key) {
    return crypto::MakeCertificateRequest(
               {.subject = {{"CN", "evil"}}, .uris = {}, .dns_names = {"evil.example"}}, key)
        .value();
  }

  void OnAgent(grpc::Status (agent::Agent::Stub::*method)(grpc::ClientContext*,
                                                          const agent::BanAgentRequest&,
                                                          google::protobuf::Empty*),
               const AttestedAgent& attested) {
    agent::BanAgentRequest request;
    request.mutable_id()->set_trust_domain("example.org");
    request.mutable_id()->set_path(attested.path());
    google::protobuf::Empty empty;
    grpc::ClientContext context;
    EXPECT_TRUE((*agent::Agent::NewStub(channel_).*method)(&context, request, &empty).ok());
  }

  const TempFolder folder_;
  AuthorityOptions options_ = RunningAuthority::DefaultOptions(folder_);
  std::unique_ptr<RunningAuthority> authority_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(AuthorityTest, KeepsItsKeysAndSocketFromOthers) {
  const auto mode = [](const std::string& path) {
    struct stat seen {};
    EXPECT_EQ(stat(path.c_str(), &seen), 0) << path;
    return seen.st_mode & 0777;
  };
  EXPECT_EQ(mode(options_.socket_path), 0770);
  EXPECT_EQ(mode(options_.data_dir), 0700);
  EXPECT_EQ(mode(options_.data_dir + "/datastore.sqlite3"), 0600);
  int keys = 0;
  for (const auto& file : std::filesystem::directory_iterator(options_.data_dir + "/keys")) {
    EXPECT_EQ(mode(file.path()), 0600) << file.path();
    ++keys;
  }
  EXPECT_EQ(keys, 2);
}

TEST_F(AuthorityTest, IsHealthy) {
  grpc::health::v1::HealthCheckResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(grpc::health::v1::Health::NewStub(channel_)->Check(&context, {}, &response).ok());
  EXPECT_EQ(response.status(), grpc::health::v1::HealthCheckResponse::SERVING);
}

TEST_F(AuthorityTest, AttestsByAJoinTokenOnce) {
  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value();
  const std::string token = CreateToken();
  JoinTokenAttestor attestor{Secret(token)};
  const auto first = authority_->Agent()->Attest(attestor, *key, kPatience);
  ASSERT_OK(first);
  EXPECT_EQ(first->id.ToString(), "spiffe://example.org/spire/agent/join_token/" + token);
  EXPECT_FALSE(first->reattestable);
  EXPECT_THAT(
      authority_->Agent()->Attest(attestor, *key, kPatience),
      StatusIs(StatusCode::kInvalidArgument,
               HasSubstr("failed to attest: join token does not exist or has already been used")));
}

TEST_F(AuthorityTest, TellsNobodyATokenThatIsNotYetUsed) {
  agent::CreateJoinTokenRequest request;
  request.set_ttl(60);
  request.mutable_agent_id()->set_trust_domain("example.org");
  request.mutable_agent_id()->set_path("/rack");
  types::JoinToken token;
  grpc::ClientContext context;
  ASSERT_TRUE(agent::Agent::NewStub(channel_)->CreateJoinToken(&context, request, &token).ok());
  const auto list = [this] {
    entry::ListEntriesResponse listed;
    grpc::ClientContext listing;
    EXPECT_TRUE(entry::Entry::NewStub(channel_)->ListEntries(&listing, {}, &listed).ok());
    return listed;
  };
  EXPECT_THAT(list().entries(), IsEmpty());
  Start();
  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value();
  JoinTokenAttestor attestor{Secret(token.value())};
  ASSERT_OK(authority_->Agent()->Attest(attestor, *key, kPatience));
  const auto listed = list();
  ASSERT_THAT(listed.entries(), SizeIs(1));
  EXPECT_EQ(listed.entries(0).spiffe_id().path(), "/rack");
  EXPECT_EQ(listed.entries(0).parent_id().path(), "/spire/agent/join_token/" + token.value());
  EXPECT_EQ(listed.entries(0).selectors(0).type(), "spiffe_id");
}

TEST_F(AuthorityTest, MakesOtherSigningAuthoritiesWhenKeysAreNotKept) {
  authority_.reset();
  std::filesystem::remove_all(options_.data_dir);
  options_.keys_on_disk = false;
  Start();
  const TrustBundle first = authority_->Agent()->FetchBundle().value();
  EXPECT_FALSE(std::filesystem::exists(options_.data_dir + "/keys"));
  Start();
  const TrustBundle second = authority_->Agent()->FetchBundle().value();
  EXPECT_THAT(second.x509_authorities, SizeIs(first.x509_authorities.size() + 1));
  Attest();
}

TEST_F(AuthorityTest, SendsAnAgentNothingWhenItMayServeNothing) {
  AttestedAgent attested = Attest();
  Create({MakeEntry("/spire/agent/join_token/other", "/w")});
  Everything everything;
  ASSERT_OK(attested.upstream->Sync(everything));
  EXPECT_THAT(everything.entries, IsEmpty());
}

TEST_F(AuthorityTest, SendsAnAgentItsEntriesAtOnceOrInPages) {
  AttestedAgent attested = Attest();
  std::vector<types::Entry> entries;
  for (int i = 0; i < 500; ++i) {
    entries.push_back(MakeEntry(attested.path(), fmt::format("/w{}", i)));
  }
  Create(entries);
  Everything at_once;
  ASSERT_OK(attested.upstream->Sync(at_once));
  EXPECT_THAT(at_once.entries, SizeIs(500));
  EXPECT_THAT(at_once.revisions, IsEmpty());

  Create({MakeEntry("/w7", "/child")});
  Everything in_pages;
  ASSERT_OK(attested.upstream->Sync(in_pages));
  EXPECT_THAT(in_pages.entries, SizeIs(501));
  EXPECT_THAT(in_pages.revisions, SizeIs(501));
}

TEST_F(AuthorityTest, SignsWhatTheEntrySaysAndNothingOfTheRequest) {
  AttestedAgent attested = Attest();
  types::Entry wanted = MakeEntry(attested.path(), "/w");
  wanted.set_id("w");
  wanted.add_dns_names("w.example");
  wanted.set_x509_svid_ttl(60);
  Create({wanted});
  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value();
  const auto results = attested.upstream->SignX509Svids({{.entry_id = "w", .csr = Csr(*key)},
                                                         {.entry_id = "x", .csr = Csr(*key)},
                                                         {.entry_id = "", .csr = Csr(*key)},
                                                         {.entry_id = "w", .csr = "garbage"}});
  ASSERT_OK(results);
  ASSERT_THAT(*results, SizeIs(4));
  ASSERT_OK((*results)[0].status);
  const crypto::Certificate& leaf = (*results)[0].chain.front();
  EXPECT_THAT(leaf.uris(), ElementsAre("spiffe://example.org/w"));
  EXPECT_THAT(leaf.dns_names(), ElementsAre("w.example"));
  EXPECT_EQ(leaf.subject_cn(), "w.example");
  EXPECT_EQ(leaf.not_after() - leaf.not_before(), absl::Seconds(70));
  EXPECT_THAT((*results)[1].status,
              StatusIs(StatusCode::kNotFound, HasSubstr("entry not found or not authorized")));
  EXPECT_THAT((*results)[2].status,
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("missing entry ID")));
  EXPECT_THAT((*results)[3].status,
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("malformed CSR: ")));
}

TEST_F(AuthorityTest, SignsJwtSvids) {
  AttestedAgent attested = Attest();
  types::Entry wanted = MakeEntry(attested.path(), "/w");
  wanted.set_id("w");
  Create({wanted});
  const auto minted = attested.upstream->MintJwtSvid("w", {"audience"});
  ASSERT_OK(minted);
  EXPECT_EQ(minted->id.ToString(), "spiffe://example.org/w");
  EXPECT_EQ(minted->expires_at - minted->issued_at, absl::Minutes(5));
}

TEST_F(AuthorityTest, MakesNoJwtSvidsWhenTheyAreDisabled) {
  options_.disable_jwt_svids = true;
  options_.data_dir = folder_.path() + "/other";
  Start();
  AttestedAgent attested = Attest();
  types::Entry wanted = MakeEntry(attested.path(), "/w");
  wanted.set_id("w");
  Create({wanted});
  EXPECT_THAT(attested.upstream->MintJwtSvid("w", {"audience"}),
              StatusIs(StatusCode::kUnimplemented, HasSubstr("JWT functionality is disabled")));
  EXPECT_THAT(attested.upstream->FetchBundle().value().jwt_authorities, IsEmpty());
}

TEST_F(AuthorityTest, BanWinsOverEverything) {
  AttestedAgent attested = Attest();
  Everything everything;
  ASSERT_OK(attested.upstream->Sync(everything));
  OnAgent(&agent::Agent::Stub::BanAgent, attested);
  const absl::Status refused = attested.upstream->Sync(everything);
  EXPECT_EQ(RefusalOf(refused), Refusal::kBanned) << refused;
  EXPECT_EQ(RefusalOf(attested.upstream->Renew(*attested.key).status()), Refusal::kBanned);
}

TEST_F(AuthorityTest, EndsTheOpenCallsOfABannedAgent) {
  AttestedAgent attested = Attest();
  std::vector<types::Entry> entries;
  for (int i = 0; i < 501; ++i) {
    entries.push_back(MakeEntry(attested.path(), fmt::format("/w{}", i)));
  }
  Create(entries);
  // Bans the agent while its stream is open.
  class Banning final : public EntrySink {
   public:
    explicit Banning(std::function<void()> ban) : ban_(std::move(ban)) {}
    bool NeedsEntry(const EntryRevision& /*revision*/) override {
      if (ban_ != nullptr) {
        std::exchange(ban_, nullptr)();
      }
      return true;
    }
    void OnEntry(RegistrationEntry /*taken*/) override { ++taken; }
    int taken = 0;

   private:
    std::function<void()> ban_;
  };
  Banning sink([&] { OnAgent(&agent::Agent::Stub::BanAgent, attested); });
  const absl::Status refused = attested.upstream->Sync(sink);
  EXPECT_EQ(RefusalOf(refused), Refusal::kBanned) << refused;
  EXPECT_EQ(sink.taken, 0);
}

TEST_F(AuthorityTest, TellsAnEvictedAgentToAttestAgain) {
  AttestedAgent attested = Attest();
  agent::DeleteAgentRequest request;
  request.mutable_id()->set_trust_domain("example.org");
  request.mutable_id()->set_path(attested.path());
  google::protobuf::Empty empty;
  grpc::ClientContext context;
  ASSERT_TRUE(agent::Agent::NewStub(channel_)->DeleteAgent(&context, request, &empty).ok());
  Everything everything;
  EXPECT_EQ(RefusalOf(attested.upstream->Sync(everything)), Refusal::kNotAttested);
}

TEST_F(AuthorityTest, LetsTheOldSvidLiveUntilTheRenewedOneIsUsed) {
  AttestedAgent attested = Attest();
  const auto renewed = attested.upstream->Renew(*attested.key);
  ASSERT_OK(renewed);
  Everything everything;
  EXPECT_OK(attested.upstream->Sync(everything));
  attested.Use(*renewed);
  EXPECT_OK(attested.upstream->Sync(everything));
  attested.Use(attested.result);
  EXPECT_EQ(RefusalOf(attested.upstream->Sync(everything)), Refusal::kNotActive);
}

TEST_F(AuthorityTest, RemembersEverythingAcrossARestart) {
  AttestedAgent attested = Attest();
  types::Entry wanted = MakeEntry(attested.path(), "/w");
  wanted.set_id("w");
  Create({wanted});
  const auto before = attested.upstream->FetchBundle();
  const std::string unused = CreateToken();
  Start();
  AttestedAgent again{
      .upstream = authority_->Agent(), .key = attested.key, .result = attested.result};
  again.upstream->SetBundle(*before);
  again.Use(attested.result);
  EXPECT_EQ(again.upstream->FetchBundle().value(), *before);
  Everything everything;
  ASSERT_OK(again.upstream->Sync(everything));
  ASSERT_THAT(everything.entries, SizeIs(1));
  EXPECT_EQ(everything.entries[0].id, "w");
  JoinTokenAttestor attestor{Secret(unused)};
  EXPECT_OK(authority_->Agent()->Attest(attestor, *attested.key, kPatience));
}

TEST_F(AuthorityTest, RefusesStrangersWhatIsForAgents) {
  const auto stranger = authority_->Agent();
  Everything everything;
  const absl::Status refused = stranger->Sync(everything);
  EXPECT_THAT(refused,
              StatusIs(StatusCode::kPermissionDenied,
                       HasSubstr("authorization denied for method "
                                 "/spire.api.server.entry.v1.Entry/SyncAuthorizedEntries")));
  EXPECT_EQ(RefusalOf(refused), Refusal::kNone);
}

TEST_F(AuthorityTest, RefusesOperatorsWhatIsForAgents) {
  entry::GetAuthorizedEntriesResponse response;
  grpc::ClientContext context;
  const grpc::Status status =
      entry::Entry::NewStub(channel_)->GetAuthorizedEntries(&context, {}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(AuthorityTest, AnswersEachEntryOfABatch) {
  types::Entry good = MakeEntry("/spire/agent/a", "/w");
  types::Entry reserved = MakeEntry("/spire/agent/a", "/spire/w");
  types::Entry federated = MakeEntry("/spire/agent/a", "/f");
  federated.add_federates_with("other.org");
  const auto response = Create({good, good, reserved, federated});
  ASSERT_THAT(response.results(), SizeIs(4));
  EXPECT_EQ(response.results(0).status().code(), 0);
  EXPECT_EQ(response.results(0).status().message(), "OK");
  EXPECT_EQ(response.results(0).entry().revision_number(), 0);
  EXPECT_GT(response.results(0).entry().created_at(), 0);
  EXPECT_EQ(response.results(1).status().code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(response.results(1).entry().id(), response.results(0).entry().id());
  EXPECT_EQ(response.results(2).status().code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(response.results(2).status().message(),
              HasSubstr("failed to convert entry: invalid spiffe ID: "));
  EXPECT_EQ(response.results(3).status().code(), grpc::StatusCode::INTERNAL);
  EXPECT_THAT(response.results(3).status().message(), HasSubstr("unable to find federated bundle"));
}

TEST_F(AuthorityTest, CountsRevisionsOfAnEntry) {
  const std::string id = Create({MakeEntry("/spire/agent/a", "/w")}).results(0).entry().id();
  entry::BatchUpdateEntryRequest request;
  types::Entry* update = request.add_entries();
  update->set_id(id);
  update->set_hint("internal");
  request.mutable_input_mask()->set_hint(true);
  request.add_entries()->set_id("unknown");
  entry::BatchUpdateEntryResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(entry::Entry::NewStub(channel_)->BatchUpdateEntry(&context, request, &response).ok());
  EXPECT_EQ(response.results(0).entry().revision_number(), 1);
  EXPECT_EQ(response.results(0).entry().hint(), "internal");
  EXPECT_EQ(response.results(0).entry().spiffe_id().path(), "/w");
  EXPECT_EQ(response.results(1).status().code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(response.results(1).status().message(), "failed to update entry");
}

TEST_F(AuthorityTest, ListsEntriesPageByPage) {
  std::vector<types::Entry> entries;
  for (int i = 0; i < 5; ++i) {
    entries.push_back(MakeEntry("/spire/agent/a", fmt::format("/w{}", i)));
  }
  Create(entries);
  std::set<std::string> seen;
  entry::ListEntriesRequest request;
  request.set_page_size(2);
  int pages = 0;
  do {
    entry::ListEntriesResponse response;
    grpc::ClientContext context;
    ASSERT_TRUE(entry::Entry::NewStub(channel_)->ListEntries(&context, request, &response).ok());
    for (const types::Entry& listed : response.entries()) {
      seen.insert(listed.spiffe_id().path());
    }
    request.set_page_token(response.next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(pages, 3);
  EXPECT_THAT(seen, SizeIs(5));
}

TEST_F(AuthorityTest, DeletesAFederatedBundleOnlyWhenNoEntryNeedsIt) {
  const auto stub = bundle::Bundle::NewStub(channel_);
  bundle::BatchSetFederatedBundleRequest set;
  set.add_bundle()->set_trust_domain("other.org");
  bundle::BatchSetFederatedBundleResponse set_response;
  grpc::ClientContext set_context;
  ASSERT_TRUE(stub->BatchSetFederatedBundle(&set_context, set, &set_response).ok());
  types::Entry federated = MakeEntry("/spire/agent/a", "/w");
  federated.add_federates_with("other.org");
  ASSERT_EQ(Create({federated}).results(0).status().code(), 0);

  using Request = bundle::BatchDeleteFederatedBundleRequest;
  for (const auto& [mode, code] : std::vector<std::pair<Request::Mode, grpc::StatusCode>>{
           {Request::RESTRICT, grpc::StatusCode::FAILED_PRECONDITION},
           {Request::DISSOCIATE, grpc::StatusCode::OK},
           {Request::RESTRICT, grpc::StatusCode::NOT_FOUND}}) {
    Request request;
    request.add_trust_domains("other.org");
    request.set_mode(mode);
    bundle::BatchDeleteFederatedBundleResponse response;
    grpc::ClientContext context;
    ASSERT_TRUE(stub->BatchDeleteFederatedBundle(&context, request, &response).ok());
    EXPECT_EQ(response.results(0).status().code(), code);
  }
}

TEST_F(AuthorityTest, MintsWhatAnOperatorAsks) {
  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kEcP256).value();
  svid::MintX509SVIDRequest request;
  request.set_ttl(120);
  request.set_csr(crypto::MakeCertificateRequest({.subject = {{"O", "mine"}},
                                                  .uris = {"spiffe://example.org/w"},
                                                  .dns_names = {"w.example"}},
                                                 *key)
                      .value());
  svid::MintX509SVIDResponse response;
  grpc::ClientContext context;
  const grpc::Status status =
      svid::SVID::NewStub(channel_)->MintX509SVID(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  const auto leaf = crypto::Certificate::Parse(response.svid().cert_chain(0)).value();
  EXPECT_THAT(leaf.uris(), ElementsAre("spiffe://example.org/w"));
  EXPECT_THAT(leaf.SubjectText(), HasSubstr("O=mine"));
  EXPECT_EQ(leaf.not_after() - leaf.not_before(), absl::Seconds(130));
}

TEST_F(AuthorityTest, DelaysWhatExceedsALimitInsteadOfRefusingIt) {
  options_.ratelimit_attestation = true;
  Start();
  const absl::Time begin = absl::Now();
  Attest();
  Attest();
  EXPECT_GE(absl::Now() - begin, absl::Milliseconds(900));
}

TEST_F(AuthorityTest, IsForOneTrustDomainForGood) {
  authority_.reset();
  options_.trust_domain = TrustDomain::Parse("other.org").value();
  const SystemClock clock;
  const auto loop = EventLoop::Create(clock).value();
  EXPECT_THAT(Authority::Create(options_, clock, *loop).status(),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("another data_dir")));
}

}  // namespace
}  // namespace assay
