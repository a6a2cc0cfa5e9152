// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace assay {
namespace {

TEST(StatusTest, QuotesUntrustedTextOnOneLine) {
  EXPECT_EQ(Quoted("a\"b\\c\n\xff"), R"("a\"b\\c\x0a\xff")");
  EXPECT_EQ(Quoted(std::string(300, 'a')).size(), 256u + 5);
}

TEST(StatusTest, ContextGoesBeforeTheMessageAndKeepsTheCode) {
  const absl::Status status = WithContext(NotFound("no such entry"), "reading the cache");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Message(status), "reading the cache: no such entry");
  EXPECT_TRUE(WithContext(absl::OkStatus(), "reading the cache").ok());
}

TEST(StatusTest, SystemErrorsCarryTheirCodeAndWords) {
  EXPECT_EQ(ErrnoStatus(ENOENT, "opening /x").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Message(ErrnoStatus(EACCES, "opening /x")), "opening /x: Permission denied");
}

}  // namespace
}  // namespace assay
