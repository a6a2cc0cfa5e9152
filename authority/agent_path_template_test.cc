// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority/agent_path_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

constexpr std::array<std::string_view, 2> kNames = {"PluginName", "Subject.CommonName"};
using Value = std::pair<std::string_view, std::string>;

TEST(AgentPathTemplateTest, PutsValuesWhereTheirNamesStand) {
  const auto path =
      AgentPathTemplate::Parse("/{{ .PluginName }}/x-{{.Subject.CommonName}}/y", kNames);
  ASSERT_OK(path);
  const std::array values = {Value("PluginName", "pop"), Value("Subject.CommonName", "node1")};
  EXPECT_EQ(path->Expand(values).value(), "/spire/agent/pop/x-node1/y");
}

TEST(AgentPathTemplateTest, RefusesWhatItCannotFillIn) {
  for (std::string_view bad : {"{{ .PluginName }}", "", "/{{ .Unknown }}", "/{{ PluginName }}",
                               "/{{ .PluginName", "/{{ .PluginName | upper }}", "/{{}}"}) {
    EXPECT_THAT(AgentPathTemplate::Parse(bad, kNames),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("\"")))
        << bad;
  }
}

// Else a common name could make its node another one's.
TEST(AgentPathTemplateTest, RefusesValuesThatAreEmptyOrChangeTheShapeOfThePath) {
  const auto path = AgentPathTemplate::Parse("/{{ .Subject.CommonName }}", kNames);
  ASSERT_OK(path);
  for (std::string_view bad : {"", "a/b", "/"}) {
    const std::array values = {Value("Subject.CommonName", bad)};
    EXPECT_THAT(path->Expand(values),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(".Subject.CommonName")))
        << bad;
  }
  EXPECT_FALSE(path->Expand({}).ok());
}

}  // namespace
}  // namespace assay
