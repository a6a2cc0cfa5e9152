// SPDX-License-Identifier: GPL-3.0-or-later
// What api fetch jwt and api validate jwt print of an agent's answers.
#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "agent/command_line.h"
#include "spiffe/workload.grpc.pb.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using testing::ElementsAre;

// Answers as the test says, on threads of its own.
class FakeWorkloadApi final : public SpiffeWorkloadAPI::Service {
 public:
  grpc::Status FetchJWTBundles(grpc::ServerContext*, const JWTBundlesRequest*,
                               grpc::ServerWriter<JWTBundlesResponse>* writer) override {
    writer->Write(bundles);
    return grpc::Status::OK;
  }
  grpc::Status FetchJWTSVID(grpc::ServerContext*, const JWTSVIDRequest* request,
                            JWTSVIDResponse* response) override {
    audience = {request->audience().begin(), request->audience().end()};
    *response = svids;
    return status;
  }
  grpc::Status ValidateJWTSVID(grpc::ServerContext*, const ValidateJWTSVIDRequest*,
                               ValidateJWTSVIDResponse* response) override {
    *response = validated;
    return status;
  }

  JWTBundlesResponse bundles;
  JWTSVIDResponse svids;
  ValidateJWTSVIDResponse validated;
  grpc::Status status;
  std::vector<std::string> audience;
};

class CommandLineJwtTest : public testing::Test {
 protected:
  struct Ran {
    int status;
    std::string out, err;
  };

  CommandLineJwtTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + path_, grpc::InsecureServerCredentials());
    builder.RegisterService(&api_);
    server_ = builder.BuildAndStart();
  }
  ~CommandLineJwtTest() override { server_->Shutdown(); }

  Ran Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"-socketPath", path_});
    std::ostringstream out, err;
    const int status = RunCommandLine(arguments, {.out = out, .err = err});
    return {status, out.str(), err.str()};
  }
  void AddSvid(const std::string& name, const std::string& hint) {
    JWTSVID& svid = *api_.svids.add_svids();
    svid.set_spiffe_id("spiffe://a.test/" + name);
    svid.set_svid("token of " + name);
    svid.set_hint(hint);
  }

  TempFolder folder_;
  const std::string path_ = folder_.path() + "/api.sock";
  FakeWorkloadApi api_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(CommandLineJwtTest, PrintsTokensHintsAndBundlesForPeople) {
  AddSvid("w", "");
  AddSvid("v", "h1");
  (*api_.bundles.mutable_bundles())["spiffe://a.test"] = R"({"keys":[]})";
  (*api_.bundles.mutable_bundles())["spiffe://b.test"] = "no json";
  const Ran ran = Run({"api", "fetch", "jwt", "-audience", "y,x"});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(api_.audience, ElementsAre("y", "x"));
  EXPECT_EQ(ran.out,
            "token(spiffe://a.test/w):\n\ttoken of w\n"
            "token(spiffe://a.test/v):\n\ttoken of v\n"
            "hint(spiffe://a.test/v):\n\th1\n"
            "bundle(spiffe://a.test):\n\t{\n    \"keys\": []\n}\n"
            "bundle(spiffe://b.test):\n\tno json\n");
}

TEST_F(CommandLineJwtTest, PrintsTheSameForPrograms) {
  AddSvid("w", "h1");
  (*api_.bundles.mutable_bundles())["spiffe://a.test"] = "{}";
  const std::string json =
      R"([{"svids":[{"hint":"h1","spiffe_id":"spiffe://a.test/w","svid":"token of w"}]},)"
      R"({"bundles":{"spiffe://a.test":"e30="}}])"
      "\n";
  for (const char* flag : {"-output", "-format"}) {
    EXPECT_EQ(Run({"api", "fetch", "jwt", "-audience", "x", flag, "json"}).out, json) << flag;
  }
}

TEST_F(CommandLineJwtTest, PrintsClaimsOfAllKinds) {
  api_.validated.set_spiffe_id("spiffe://a.test/w");
  auto& fields = *api_.validated.mutable_claims()->mutable_fields();
  fields["exp"].set_number_value(1'800'000'000);
  fields["half"].set_number_value(0.5);
  fields["large"].set_number_value(1e300);
  fields["none"].set_null_value(google::protobuf::NULL_VALUE);
  fields["list"].mutable_list_value()->add_values()->set_bool_value(true);
  fields["list"].mutable_list_value()->add_values()->set_string_value("a,\"b");
  (*fields["object"].mutable_struct_value()->mutable_fields())["in"].set_string_value("s");
  const std::vector<std::string> command = {"api", "validate", "jwt",  "-audience",
                                            "x",   "-svid",    "token"};
  EXPECT_EQ(Run(command).out,
            "SVID is valid.\nSPIFFE ID : spiffe://a.test/w\nClaims    : "
            "{\"exp\":1800000000, \"half\":0.5, \"large\":1e+300, \"list\":[true, \"a,\\\"b\"], "
            "\"none\":null, \"object\":{\"in\":\"s\"}}\n");
  std::vector<std::string> json = command;
  json.insert(json.end(), {"-output", "json"});
  EXPECT_EQ(Run(json).out,
            "{\"claims\":{\"exp\":1800000000,\"half\":0.5,\"large\":1e+300,"
            "\"list\":[true,\"a,\\\"b\"],\"none\":null,\"object\":{\"in\":\"s\"}},"
            "\"spiffe_id\":\"spiffe://a.test/w\"}\n");
}

TEST_F(CommandLineJwtTest, SaysWhyThereIsNothing) {
  const std::vector<std::string> validate = {"api", "validate", "jwt",  "-audience",
                                             "x",   "-svid",    "token"};
  api_.status = {grpc::StatusCode::INVALID_ARGUMENT, "token has expired"};
  Ran ran = Run(validate);
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(ran.err, "SVID is not valid: token has expired\n");
  api_.status = {grpc::StatusCode::UNAVAILABLE, "no"};
  EXPECT_EQ(Run(validate).err,
            "unable to validate JWT SVID: rpc error: code = Unavailable desc = no\n");
  ran = Run({"api", "fetch", "jwt", "-audience", "x"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(ran.err, "rpc error: code = Unavailable desc = no\n");
  EXPECT_EQ(ran.out, "");
}

}  // namespace
}  // namespace assay
