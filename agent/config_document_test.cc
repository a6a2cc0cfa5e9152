// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/config_document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"

namespace assay {
namespace {

using testing::HasSubstr;

TEST(ConfigDocumentTest, TheTreesDocumentIsThatOfTheTables) {
  const auto written = ReadFile(ASSAY_SOURCE_FOLDER "/docs/configuration.md");
  ASSERT_TRUE(written.ok());
  EXPECT_EQ(*written, ConfigDocument()) << "run scripts/configuration.sh";
}

TEST(ConfigDocumentTest, TellsValuesDefaultsFlagsAndWhatReloads) {
  const std::string document = ConfigDocument();
  EXPECT_THAT(document, HasSubstr("| `log_level`, `-logLevel` | `debug`, `info`, `warn` or `error` "
                                  "| `info` | yes | The least that is logged. |\n"));
  EXPECT_THAT(document, HasSubstr("### plugins.NodeAttestor \"tpm_devid\"\n"));
  EXPECT_THAT(document, HasSubstr("| `sync_interval` | duration | `\"5s\"` | yes |"));
}

}  // namespace
}  // namespace assay
