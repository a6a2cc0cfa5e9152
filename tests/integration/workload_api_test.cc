// SPDX-License-Identifier: GPL-3.0-or-later
// The Workload API as callers see it: real serve and probe processes, gRPC's own client.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "agent/role_main.h"
#include "crypto/digest.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "spiffe/workload.grpc.pb.h"
#include "tests/integration/process_caller.h"
#include "tests/integration/role_harness.h"
#include "tests/support/http2_client.h"
#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::SizeIs;
using testing::UnorderedElementsAre;

const Http2Client::Fields kHeader = {{"workload.spiffe.io", "true"}};
constexpr auto kDeadline = std::chrono::seconds(20);

std::string Own() { return "unix:uid:" + std::to_string(geteuid()); }

struct State {
  roles::StateChange message;

  static State Complete() {
    State state;
    state.message.set_reset(true);
    return state.Bundle("example.org", "roots");
  }
  State& Entry(const std::string& id, const std::string& selector) {
    roles::Entry& entry = *message.add_entries();
    entry.set_id(id);
    entry.set_spiffe_id("spiffe://example.org/" + id);
    roles::Selector& added = *entry.add_selectors();
    added.set_type("unix");
    added.set_value(selector.substr(5));
    return *this;
  }
  State& Svid(const std::string& id, const std::string& chain = "chain") {
    roles::Svid& svid = *message.add_svids();
    svid.set_entry_id(id);
    svid.set_chain(chain);
    svid.set_key("key of " + id);
    svid.set_expires_at(4'000'000'000);
    return *this;
  }
  State& Granted(const std::string& id, const std::string& selector) {
    return Entry(id, selector).Svid(id);
  }
  State& Bundle(const std::string& trust_domain, const std::string& authorities) {
    roles::Bundle& bundle = *message.add_bundles();
    bundle.set_trust_domain(trust_domain);
    bundle.set_x509_authorities(authorities);
    return *this;
  }
  State& Without(const std::string& entry_id) {
    message.add_removed_entries(entry_id);
    return *this;
  }
  roles::StateChange Commit() const {
    roles::StateChange committed = message;
    committed.set_commit(true);
    return committed;
  }
};

std::unique_ptr<grpc::ClientContext> Context(const char* header = "true") {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + kDeadline);
  if (header != nullptr) {
    context->AddMetadata("workload.spiffe.io", header);
  }
  return context;
}

std::vector<std::string> Ids(const X509SVIDResponse& response) {
  std::vector<std::string> ids;
  for (const X509SVID& svid : response.svids()) {
    ids.push_back(svid.spiffe_id().substr(svid.spiffe_id().rfind('/') + 1));
  }
  return ids;
}

// An open FetchX509SVID.
class SvidStream final {
 public:
  explicit SvidStream(SpiffeWorkloadAPI::Stub& stub)
      : context_(Context()), reader_(stub.FetchX509SVID(context_.get(), {})) {}
  ~SvidStream() { context_->TryCancel(); }

  // The identities of the next message; "end" when the stream ended instead.
  std::vector<std::string> Next() {
    X509SVIDResponse response;
    return reader_->Read(&response) ? Ids(response) : std::vector<std::string>{"end"};
  }
  grpc::Status Finish() { return reader_->Finish(); }

 private:
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReader<X509SVIDResponse>> reader_;
};

struct Client {
  explicit Client(const RoleHarness& harness) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
    stub = SpiffeWorkloadAPI::NewStub(
        grpc::CreateCustomChannel(harness.target(), grpc::InsecureChannelCredentials(), arguments));
  }
  explicit Client(UniqueFd connection) {
    fcntl(connection.get(), F_SETFL, O_NONBLOCK);
    stub = SpiffeWorkloadAPI::NewStub(
        grpc::CreateInsecureChannelFromFd("connection", connection.Release()));
  }
  // One message, or how the stream ended.
  std::pair<std::vector<std::string>, grpc::Status> Fetch(const char* header = "true") const {
    const auto context = Context(header);
    const auto reader = stub->FetchX509SVID(context.get(), {});
    X509SVIDResponse response;
    if (!reader->Read(&response)) {
      return {{}, reader->Finish()};
    }
    context->TryCancel();
    return {Ids(response), grpc::Status::OK};
  }
  std::unique_ptr<SpiffeWorkloadAPI::Stub> stub;
};

MATCHER_P2(EndsWith, code, message, "") {
  *result_listener << arg.error_code() << " " << arg.error_message();
  return arg.error_code() == code &&
         testing::ExplainMatchResult(message, arg.error_message(), result_listener);
}

const testing::Matcher<std::string> kNoIdentity = testing::StartsWith("no identity issued");

TEST(WorkloadApiTest, IsExactlyTheServiceOfTheSpecification) {
  // WLAPI-01 WLAPI-02 WLAPI-03 WLEP-20
  RoleHarness harness;
  harness.Send(State::Complete().Commit());
  Http2Client client(ConnectUnix(harness.socket()));
  grpc::reflection::v1::ServerReflectionRequest request;
  request.set_file_containing_symbol("SpiffeWorkloadAPI");
  const auto& answer = client.Call("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                                   request.SerializeAsString());
  ASSERT_THAT(answer.messages(), SizeIs(1));
  grpc::reflection::v1::ServerReflectionResponse response;
  ASSERT_TRUE(response.ParseFromString(answer.messages()[0]));
  google::protobuf::FileDescriptorProto file;
  ASSERT_TRUE(file.ParseFromString(response.file_descriptor_response().file_descriptor_proto(0)));
  EXPECT_EQ(file.package(), "");
  ASSERT_EQ(file.service_size(), 1);
  std::vector<std::string> methods;
  for (const auto& method : file.service(0).method()) {
    methods.push_back(method.name());
    // Both profiles are there: what refuses is the caller's lack of an identity, or of an audience.
    const int status = client.Call("/SpiffeWorkloadAPI/" + method.name(), "", kHeader).status();
    EXPECT_EQ(status == grpc::UNIMPLEMENTED, method.name().find("WIT") != std::string::npos)
        << method.name();
    EXPECT_EQ(
        client.Call("/spiffe.workload.SpiffeWorkloadAPI/" + method.name(), "", kHeader).status(),
        grpc::UNIMPLEMENTED);
  }
  EXPECT_THAT(methods, UnorderedElementsAre("FetchX509SVID", "FetchX509Bundles", "FetchJWTSVID",
                                            "FetchJWTBundles", "ValidateJWTSVID", "FetchWITSVID",
                                            "FetchWITBundles"));
}

TEST(WorkloadApiTest,
     GivesEachCallerItsIdentitiesAndNoOthers) {  // WLAPI-04 WLAPI-21 WLEP-10 WLEP-11
  RoleHarness harness;
  harness.Send(State::Complete().Granted("mine", Own()).Granted("other", "unix:uid:4242").Commit());
  const auto context = Context();
  const Client client(harness);
  const auto reader = client.stub->FetchX509SVID(context.get(), {});
  X509SVIDResponse response;
  ASSERT_TRUE(reader->Read(&response));
  context->TryCancel();
  ASSERT_THAT(Ids(response), ElementsAre("mine"));
  EXPECT_EQ(response.svids(0).x509_svid(), "chain");
  EXPECT_EQ(response.svids(0).x509_svid_key(), "key of mine");
  EXPECT_EQ(response.svids(0).bundle(), "roots");
  EXPECT_EQ(response.crl_size(), 0);
}

TEST(WorkloadApiTest, RefusesACallerWithoutAnIdentity) {  // WLEP-17 WLAPI-13 WLAPI-23 WLAPI-28
  RoleHarness harness;
  harness.Send(State::Complete().Granted("other", "unix:uid:4242").Commit());
  const Client client(harness);
  EXPECT_THAT(client.Fetch().second, EndsWith(grpc::PERMISSION_DENIED, kNoIdentity));
  const auto request = harness.NextRequest();
  ASSERT_TRUE(request.has_value());
  EXPECT_TRUE(request->has_refused()) << "identity looks for a new entry";
  const auto context = Context();
  X509BundlesResponse bundles;
  const auto reader = client.stub->FetchX509Bundles(context.get(), {});
  EXPECT_FALSE(reader->Read(&bundles));
  EXPECT_THAT(reader->Finish(), EndsWith(grpc::PERMISSION_DENIED, kNoIdentity));
}

// Identity, which holds the keys, must not be kept busy by whoever has no identity.
TEST(WorkloadApiTest, TellsIdentityOfManyRefusalsOnce) {
  RoleHarness harness;
  harness.Send(State::Complete().Granted("other", "unix:uid:4242").Commit());
  const Client client(harness);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(client.Fetch().second.error_code(), grpc::PERMISSION_DENIED);
  }
  harness.Send(State().Entry("mine", Own()).Commit());
  SvidStream stream(*client.stub);
  int refusals = 0;
  for (auto request = harness.NextRequest(); request.has_value() && !request->has_wanted();
       request = harness.NextRequest()) {
    refusals += request->has_refused() ? 1 : 0;
  }
  EXPECT_GE(refusals, 1);
  EXPECT_LE(refusals, 5);
}

TEST(WorkloadApiTest, DemandsTheSecurityHeaderBeforeAllElse) {
  // WLEP-02 WLEP-06 WLEP-07 WLEP-08 WLEP-09
  RoleHarness harness;
  harness.Send(State::Complete().Commit());
  const Client client(harness);
  for (const char* header : {static_cast<const char*>(nullptr), "false", "TRUE", "True", "1", ""}) {
    EXPECT_THAT(client.Fetch(header).second,
                EndsWith(grpc::INVALID_ARGUMENT, "security header missing from request"));
  }
  const auto twice = Context();
  twice->AddMetadata("workload.spiffe.io", "true");
  JWTSVIDResponse response;
  EXPECT_THAT(client.stub->FetchJWTSVID(twice.get(), {}, &response),
              EndsWith(grpc::INVALID_ARGUMENT, HasSubstr("security header")));
}

TEST(WorkloadApiTest, DoesNotHaveTheOtherProfiles) {  // WLAPI-44 WLEP-19
  RoleHarness harness;
  harness.Send(State::Complete().Granted("mine", Own()).Commit());
  const Client client(harness);
  const auto context = Context();
  const auto reader = client.stub->FetchWITSVID(context.get(), {});
  WITSVIDResponse response;
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_THAT(reader->Finish(),
              EndsWith(grpc::UNIMPLEMENTED, "fetching WIT-SVIDs is not implemented"));
}

TEST(WorkloadApiTest, TakesNoLargeRequest) {
  RoleHarness harness;
  harness.Send(State::Complete().Granted("mine", Own()).Commit());
  const Client client(harness);
  JWTSVIDRequest request;
  request.add_audience(std::string(256 << 10, 'x'));
  JWTSVIDResponse response;
  EXPECT_THAT(client.stub->FetchJWTSVID(Context().get(), request, &response),
              EndsWith(grpc::RESOURCE_EXHAUSTED, HasSubstr("received message larger than max")));
}

TEST(WorkloadApiTest, TellsIdentityWhatItsCallersWaitForAndWhenTheyDoNoMore) {
  RoleHarness harness;
  harness.Send(State::Complete().Granted("mine", Own()).Commit());
  const Client client(harness);
  JWTSVIDRequest request;
  request.add_audience("x");
  JWTSVIDResponse response;
  const auto context = Context();
  auto status = std::async(std::launch::async, [&] {
    return client.stub->FetchJWTSVID(context.get(), request, &response);
  });
  const auto wanted = harness.NextRequest();
  context->TryCancel();
  EXPECT_THAT(status.get(), EndsWith(grpc::CANCELLED, testing::_));
  ASSERT_TRUE(wanted.has_value());
  EXPECT_EQ(wanted->mint_jwt().key().entry_id(), "mine");
  const auto forgotten = harness.NextRequest();
  ASSERT_TRUE(forgotten.has_value());
  EXPECT_THAT(forgotten->forget_jwt().key().audience(), ElementsAre("x"));
}

TEST(WorkloadApiTest, IsUnavailableBeforeTheFirstState) {  // WLEP-16
  RoleHarness harness;
  const Client client(harness);
  EXPECT_THAT(client.Fetch().second, EndsWith(grpc::UNAVAILABLE, HasSubstr("not synchronised")));
  harness.Send(State::Complete().Granted("mine", Own()).Commit());
  ASSERT_TRUE(harness.AwaitReady(roles::SERVE));
  EXPECT_THAT(client.Fetch().first, ElementsAre("mine"));
}

TEST(WorkloadApiTest, KeepsACallerWaitingForTheFirstSvid) {  // WLAPI-07
  RoleHarness harness;
  harness.Send(State::Complete().Entry("a", Own()).Granted("b", Own()).Commit());
  const Client client(harness);
  SvidStream stream(*client.stub);
  const auto request = harness.NextRequest();
  ASSERT_TRUE(request.has_value());
  EXPECT_THAT(request->wanted().entry_ids(), ElementsAre("a"));
  harness.Send(State().Svid("a").Commit());
  EXPECT_THAT(stream.Next(), ElementsAre("a", "b"));
}

TEST(WorkloadApiTest, SendsEachChangeAndEndsWithTheLastIdentity) {  // WLAPI-06 WLAPI-24 WLAPI-49
  RoleHarness harness;
  harness.Send(State::Complete().Granted("a", Own()).Granted("b", Own()).Commit());
  const Client client(harness);
  SvidStream stream(*client.stub);
  EXPECT_THAT(stream.Next(), ElementsAre("a", "b"));
  harness.Send(State().Svid("b", "renewed").Commit());
  EXPECT_THAT(stream.Next(), ElementsAre("a", "b"));
  harness.Send(State().Granted("c", Own()).Commit());
  EXPECT_THAT(stream.Next(), ElementsAre("a", "b", "c"));
  harness.Send(State().Without("a").Without("b").Commit());
  EXPECT_THAT(stream.Next(), ElementsAre("c"));
  harness.Send(State().Without("c").Commit());
  EXPECT_THAT(stream.Next(), ElementsAre("end"));
  EXPECT_THAT(stream.Finish(), EndsWith(grpc::PERMISSION_DENIED, kNoIdentity));
}

TEST(WorkloadApiTest, StreamsBundlesAlsoToTheUnregisteredWhereAllowed) {  // WLAPI-27 WLAPI-28
  RoleHarness harness({.allow_unauthenticated_verifiers = true});
  State state = State::Complete().Granted("other", "unix:uid:4242").Bundle("far.test", "far");
  state.message.mutable_entries(0)->add_federates_with("far.test");
  harness.Send(state.Commit());
  const Client client(harness);
  const auto context = Context();
  const auto reader = client.stub->FetchX509Bundles(context.get(), {});
  X509BundlesResponse bundles;
  ASSERT_TRUE(reader->Read(&bundles));
  EXPECT_THAT(bundles.bundles(), ElementsAre(Pair("spiffe://example.org", "roots")));
  State mine = State().Granted("mine", Own());
  mine.message.mutable_entries(0)->add_federates_with("far.test");
  harness.Send(mine.Commit());
  ASSERT_TRUE(reader->Read(&bundles));
  EXPECT_THAT(bundles.bundles(), UnorderedElementsAre(Pair("spiffe://example.org", "roots"),
                                                      Pair("spiffe://far.test", "far")));
  context->TryCancel();
}

TEST(WorkloadApiTest, TellsUsersApartByTheirProcess) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root to become another user";
  }
  RoleHarness harness;
  harness.Send(State::Complete().Granted("mine", Own()).Granted("other", "unix:uid:4242").Commit());
  ProcessCaller other(harness.socket(), 4242);
  EXPECT_THAT(Client(other.TakeConnection()).Fetch().first, ElementsAre("other"));
}

TEST(WorkloadApiTest, EndsTheStreamsOfACallerThatExits) {  // WLEP-11
  RoleHarness harness;
  harness.Send(State::Complete().Granted("mine", Own()).Commit());
  ProcessCaller caller(harness.socket());
  const Client thief(caller.TakeConnection());
  SvidStream stream(*thief.stub);
  EXPECT_THAT(stream.Next(), ElementsAre("mine"));
  caller.Kill();
  EXPECT_THAT(stream.Next(), ElementsAre("end"));
  EXPECT_THAT(stream.Finish(), EndsWith(grpc::UNAVAILABLE, HasSubstr("exited")));
  EXPECT_THAT(thief.Fetch().second, EndsWith(grpc::UNAVAILABLE, HasSubstr("exited")));
}

// A connection must not gain the identity of a program that its process executes later.
TEST(WorkloadApiTest, RefusesAConnectionWhoseProcessExecutedAnotherProgram) {
  RoleHarness harness({.discover_workload_path = true});
  const std::string victim = std::filesystem::canonical("/bin/sleep").string();
  harness.Send(
      State::Complete()
          .Granted("victim", "unix:path:" + victim)
          .Granted("self", "unix:path:" + std::filesystem::read_symlink("/proc/self/exe").string())
          .Commit());
  ProcessCaller before_first_call(harness.socket());
  Client(harness).Fetch();  // So that the connection before it has been accepted, too.
  before_first_call.Exec();
  const Client first(before_first_call.TakeConnection());
  EXPECT_THAT(first.Fetch().second,
              EndsWith(grpc::PERMISSION_DENIED, HasSubstr("another program")));

  ProcessCaller between_calls(harness.socket());
  const Client second(between_calls.TakeConnection());
  EXPECT_THAT(second.Fetch().first, ElementsAre("self"));
  between_calls.Exec();
  usleep(20000);  // A check of the caller is good for the half of this.
  EXPECT_THAT(second.Fetch().second,
              EndsWith(grpc::PERMISSION_DENIED, HasSubstr("another program")));
}

TEST(WorkloadApiTest, GoesOnWhenTheProbeDies) {
  RoleHarness harness;
  harness.Send(State::Complete().Granted("mine", Own()).Commit());
  const Client client(harness);
  SvidStream stream(*client.stub);
  EXPECT_THAT(stream.Next(), ElementsAre("mine"));
  harness.Restart(roles::PROBE);
  EXPECT_THAT(client.Fetch().first, ElementsAre("mine"));
  EXPECT_THAT(Client(harness).Fetch().first, ElementsAre("mine"));
  harness.Send(State().Granted("new", Own()).Commit());
  EXPECT_THAT(stream.Next(), ElementsAre("mine", "new"));
}

TEST(WorkloadApiTest, GoesOnWithWhatItKnowsWhenIdentityDies) {
  RoleHarness harness;
  const State state = State::Complete().Granted("mine", Own());
  harness.Send(state.Commit());
  const Client client(harness);
  SvidStream stream(*client.stub);
  EXPECT_THAT(stream.Next(), ElementsAre("mine"));
  harness.RestartIdentity();
  EXPECT_THAT(client.Fetch().first, ElementsAre("mine"));
  harness.Send(State::Complete().message);  // The new state begins, and is not committed yet.
  EXPECT_THAT(client.Fetch().first, ElementsAre("mine"));
  harness.Send(state.Commit());
  harness.Send(State().Granted("new", Own()).Commit());
  EXPECT_THAT(stream.Next(), ElementsAre("mine", "new")) << "no message for an equal state";
}

TEST(WorkloadApiTest, AsksANewIdentityRoleForWhatCallersWaitFor) {
  RoleHarness harness;
  harness.Send(State::Complete().Entry("mine", Own()).Commit());
  const Client client(harness);
  SvidStream stream(*client.stub);
  ASSERT_TRUE(harness.NextRequest().has_value());
  harness.RestartIdentity();
  const auto request = harness.NextRequest();
  ASSERT_TRUE(request.has_value());
  EXPECT_THAT(request->wanted().entry_ids(), ElementsAre("mine"));
}

TEST(WorkloadApiTest, CallersOfANewServeRoleWaitForItsState) {
  RoleHarness harness;
  const State state = State::Complete().Granted("mine", Own());
  harness.Send(state.Commit());
  const Client client(harness);
  SvidStream stream(*client.stub);
  EXPECT_THAT(stream.Next(), ElementsAre("mine"));
  harness.Restart(roles::SERVE);
  EXPECT_THAT(stream.Next(), ElementsAre("end"));
  EXPECT_THAT(stream.Finish(), EndsWith(grpc::UNAVAILABLE, testing::_));
  harness.Send(state.Commit());
  EXPECT_THAT(Client(harness).Fetch().first, ElementsAre("mine"));
}

}  // namespace
}  // namespace assay

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "role") {
    return assay::RunRole(argv[2], [](assay::UniqueFd) { return 1; });
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
