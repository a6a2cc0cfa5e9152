// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/grpc_text.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

TEST(GrpcTextTest, NamesCodesAsGoDoes) {
  EXPECT_EQ(GrpcCodeName(0), "OK");
  EXPECT_EQ(GrpcCodeName(5), "NotFound");
  EXPECT_EQ(GrpcCodeName(16), "Unauthenticated");
  EXPECT_EQ(GrpcCodeName(17), "Code(17)");
  EXPECT_EQ(GrpcCodeName(-1), "Code(-1)");
}

TEST(GrpcTextTest, WordsAStatusAsGoDoes) {
  EXPECT_EQ(GrpcText(5, "entry not found"), "rpc error: code = NotFound desc = entry not found");
}

}  // namespace
}  // namespace assay
