// SPDX-License-Identifier: GPL-3.0-or-later
// IsOk(), StatusIs(code, matcher of the message): for a Status or a StatusOr.
#pragma once

#include <gmock/gmock.h>

#include <string>

#include "base/status.h"

namespace assay {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& status_or) {
  return status_or.status();
}

MATCHER(IsOk, "is OK") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).ok();
}

MATCHER_P2(StatusIs, code, message, "") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code &&
         testing::ExplainMatchResult(message, std::string(Message(StatusOf(arg))), result_listener);
}

}  // namespace assay

#define ASSERT_OK(expr) ASSERT_THAT((expr), ::assay::IsOk())
#define EXPECT_OK(expr) EXPECT_THAT((expr), ::assay::IsOk())
