// SPDX-License-Identifier: GPL-3.0-or-later
// A message as bytes that are equal for equal content, maps written in order.
#pragma once

#include <google/protobuf/message_lite.h>

#include <string>

namespace assay {

// No other copy of the message's contents is left behind in memory.
std::string AnswerBytes(const google::protobuf::MessageLite& message);

}  // namespace assay
