// SPDX-License-Identifier: GPL-3.0-or-later
// What the log is told of proxies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/test_sds.h"
#include "workload-api/sds_methods.h"

namespace assay {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class SdsLogTest : public SdsTest {
 protected:
  // What is written while a call says something.
  template <typename Request>
  std::string LogOf(int32_t call, const Request& request) {
    testing::internal::CaptureStdout();
    Say(call, request);
    return testing::internal::GetCapturedStdout();
  }
  template <typename Request>
  std::string LogOfNew(const std::string& method, const Request& request) {
    testing::internal::CaptureStdout();
    Open(method, request);
    return testing::internal::GetCapturedStdout();
  }
  template <typename Request>
  static Request Refusing(Request request, const std::string& why) {
    request.mutable_error_detail()->set_code(13);
    request.mutable_error_detail()->set_message(why);
    return request;
  }
};

TEST_F(SdsLogTest, ARefusalOfADeltaIsLogged) {
  Begin();
  Grant("a");
  const int32_t call = Open("DeltaSecrets", Delta({Id("a")}));
  EXPECT_THAT(LogOf(call, Refusing(Delta({}), "key mismatch")),
              AllOf(HasSubstr("Envoy reported errors applying secrets"), HasSubstr("key mismatch"),
                    HasSubstr("service=SDS.v3")));
  EXPECT_THAT(DeltasSent(call), SizeIs(1));
}

// It answers the last answer of the stream before.
TEST_F(SdsLogTest, ARefusalInTheFirstRequestIsLogged) {
  Begin();
  EXPECT_THAT(LogOfNew("StreamSecrets", Refusing(Whole({Id("a")}), "whole")), HasSubstr("whole"));
  EXPECT_THAT(LogOfNew("DeltaSecrets", Refusing(Delta({Id("a")}), "delta")), HasSubstr("delta"));
}

TEST_F(SdsLogTest, WhoGoesOnWithAnotherVersionHasRefused) {
  Begin();
  Grant("a");
  const int32_t call = Open("StreamSecrets", Whole({Id("a")}));
  discovery::DiscoveryRequest request = Taken(call, {Id("a")});
  EXPECT_THAT(LogOf(call, request), Not(HasSubstr("errors")));
  request.set_version_info("older");
  EXPECT_THAT(LogOf(call, request), HasSubstr("went on with another version"));
}

TEST_F(SdsLogTest, WhoIsRefusedOftenHidesNoOtherProxysRefusal) {
  Begin();
  for (size_t i = 0; i < RefusalLog<uid_t>::kLines + 1; ++i) {
    Open("StreamSecrets", Whole({Id("a")}));
  }
  EXPECT_THAT(LogOfNew("StreamSecrets", Whole({Id("a")})), Not(HasSubstr("No identity issued")));
  Grant("a");
  const int32_t call = Open("StreamSecrets", Whole({Id("a")}));
  EXPECT_THAT(LogOf(call, Refusing(Taken(call, {Id("a")}), "key mismatch")),
              HasSubstr("key mismatch"));
}

TEST_F(SdsLogTest, SaysWhatIsMissingAndWhy) {
  Begin();
  Grant("a");
  EXPECT_THAT(
      LogOfNew("StreamSecrets", Whole({Id("b"), Id("c")})),
      AllOf(HasSubstr("SDS resource is not there"), HasSubstr(Id("b")), HasSubstr("missing=2"),
            HasSubstr("subsystem_name=endpoints"), Not(HasSubstr("reason"))));
  discovery::DiscoveryRequest request = Whole({"ABC", "ALL"});
  auto& version = *request.mutable_node()->mutable_user_agent_build_version()->mutable_version();
  version.set_major_number(1);
  version.set_minor_number(17);
  EXPECT_THAT(LogOfNew("StreamSecrets", request), HasSubstr("needs Envoy's SPIFFE validator"));
  request.clear_resource_names();
  request.add_resource_names("ALL");
  const int32_t fetch =
      client_->Start(std::string(kSdsService) + "FetchSecrets", request.SerializeAsString());
  EXPECT_EQ(client_->WaitClosed(fetch).status(), 3);
  EXPECT_THAT(client_->stream(fetch).message(), HasSubstr("needs Envoy's SPIFFE validator"));
}

}  // namespace
}  // namespace assay
