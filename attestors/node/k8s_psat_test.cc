// SPDX-License-Identifier: GPL-3.0-or-later
#include "attestors/node/k8s_psat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::HasSubstr;
using Json = nlohmann::json;

class K8sPsatTest : public testing::Test {
 protected:
  std::string path() const { return folder_.path() + "/token"; }
  void Write(std::string_view token) const { EXPECT_OK(WriteFileAtomically(path(), token, 0600)); }
  absl::StatusOr<Json> Payload() {
    auto attestation = attestor_.Begin();
    RETURN_IF_ERROR(attestation.status());
    return Json::parse((*attestation)->Payload()->Reveal());
  }

  const TempFolder folder_;
  K8sPsatAttestor attestor_{{.cluster = "demo \"1\"", .token_path = path()}};
};

TEST_F(K8sPsatTest, ShowsClusterAndTokenAsTheFileHasIt) {
  EXPECT_EQ(attestor_.type(), "k8s_psat");
  Write("a.b.c\n\"\\");
  EXPECT_EQ(Payload().value(), (Json{{"cluster", "demo \"1\""}, {"token", "a.b.c\n\"\\"}}));
}

TEST_F(K8sPsatTest, ReadsTheTokenAnewForEachAttestation) {
  Write("first");
  EXPECT_EQ(Payload().value()["token"], "first");
  Write("second");
  EXPECT_EQ(Payload().value()["token"], "second");
}

TEST_F(K8sPsatTest, SaysWhatIsWrongWithTheFile) {
  EXPECT_THAT(attestor_.Begin(), StatusIs(StatusCode::kNotFound, HasSubstr(path())));
  Write("");
  EXPECT_THAT(attestor_.Begin(), StatusIs(StatusCode::kFailedPrecondition, HasSubstr("is empty")));
  Write(std::string((64 << 10) + 1, 'a'));
  EXPECT_THAT(attestor_.Begin(), StatusIs(StatusCode::kInvalidArgument, HasSubstr("token_path")));
}

TEST_F(K8sPsatTest, HasNoAnswerToAChallenge) {
  Write("a");
  EXPECT_THAT(attestor_.Begin().value()->Answer("x"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("challenge")));
}

}  // namespace
}  // namespace assay
