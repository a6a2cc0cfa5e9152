// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/shown_selectors.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

TEST(ShownSelectorsTest, AreThoseThatTheOperatorWants) {
  ShownSelectors shown;
  const std::vector<Selector> selectors = {
      {"unix", "uid:0"}, {"unix", "uidx:0"}, {"k8s", "ns:a"}, {"k8s", "sa:b"}};
  EXPECT_EQ(shown.Of(selectors), "");
  shown.Set({"unix:uid", "k8s"});
  EXPECT_EQ(shown.Of(selectors), "k8s:ns:a,k8s:sa:b,unix:uid:0");
}

}  // namespace
}  // namespace assay
