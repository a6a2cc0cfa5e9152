// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/grpc_wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace assay::rpc {
namespace {

using testing::_;
using testing::HasSubstr;

TEST(GrpcWireTest, KnowsItsContentTypes) {
  for (const char* good : {"application/grpc", "application/grpc+proto", "application/grpc+json",
                           "application/grpc;charset=utf-8"}) {
    EXPECT_TRUE(IsGrpcContentType(good)) << good;
  }
  for (const char* bad : {"", "application/grp", "application/grpc-web", "application/grpcx",
                          "Application/grpc", "text/html"}) {
    EXPECT_FALSE(IsGrpcContentType(bad)) << bad;
  }
}

TEST(GrpcWireTest, ParsesTimeouts) {
  EXPECT_EQ(ParseTimeout("1H").value(), absl::Hours(1));
  EXPECT_EQ(ParseTimeout("2M").value(), absl::Minutes(2));
  EXPECT_EQ(ParseTimeout("99999999S").value(), absl::Seconds(99999999));
  EXPECT_EQ(ParseTimeout("250m").value(), absl::Milliseconds(250));
  EXPECT_EQ(ParseTimeout("7u").value(), absl::Microseconds(7));
  EXPECT_EQ(ParseTimeout("0n").value(), absl::ZeroDuration());
  for (const char* bad : {"", "S", "1", "1s", "-1S", "+1S", " 1S", "1.5S", "1 S", "999999999S"}) {
    EXPECT_THAT(ParseTimeout(bad), StatusIs(absl::StatusCode::kInternal, _)) << bad;
  }
}

TEST(GrpcWireTest, EncodesMessagesForTheWire) {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool plain = byte >= ' ' && byte <= '~' && c != '%';
    EXPECT_EQ(EncodeStatusMessage(std::string(1, c)),
              plain ? std::string(1, c) : fmt::format("%{:02X}", byte));
  }
  EXPECT_EQ(EncodeStatusMessage(std::string(5000, 'x')).size(), kMaxMessageBytes);
}

TEST(GrpcWireTest, EncodesBinaryWithoutPadding) {
  EXPECT_EQ(EncodeBinaryHeader(""), "");
  EXPECT_EQ(EncodeBinaryHeader("f"), "Zg");
  EXPECT_EQ(EncodeBinaryHeader("fo"), "Zm8");
  EXPECT_EQ(EncodeBinaryHeader("foo"), "Zm9v");
  EXPECT_EQ(EncodeBinaryHeader("\xff\xfe\xfd"), "//79");
}

std::vector<std::string> ReadAll(const std::string& bytes, size_t chunk_size) {
  MessageReader reader;
  std::vector<std::string> messages;
  for (size_t at = 0; at < bytes.size(); at += chunk_size) {
    std::string_view chunk = std::string_view(bytes).substr(at, chunk_size);
    while (true) {
      const auto message = reader.Next(chunk, 100);
      EXPECT_OK(message);
      if (!message->has_value()) {
        break;
      }
      messages.emplace_back(**message);
    }
    EXPECT_TRUE(chunk.empty());
  }
  EXPECT_FALSE(reader.in_message());
  return messages;
}

TEST(MessageReaderTest, FindsMessagesHoweverTheyArrive) {
  const std::string bytes("\0\0\0\0\3one\0\0\0\0\0\0\0\0\0\5three\0\0\0\0\0", 28);
  for (size_t chunk = 1; chunk <= bytes.size(); ++chunk) {
    EXPECT_THAT(ReadAll(bytes, chunk), testing::ElementsAre("one", "", "three", "")) << chunk;
  }
}

TEST(MessageReaderTest, RefusesBeforeItBuffers) {
  for (const auto& [prefix, code] : std::vector<std::pair<std::string, absl::StatusCode>>{
           {std::string("\0\0\0\0\x65", 5), absl::StatusCode::kResourceExhausted},
           {std::string("\0\xff\xff\xff\xff", 5), absl::StatusCode::kResourceExhausted},
           {std::string("\1\0\0\0\1", 5), absl::StatusCode::kInternal},
           {std::string("\2\0\0\0\1", 5), absl::StatusCode::kInternal}}) {
    MessageReader reader;
    std::string_view chunk = prefix;
    EXPECT_THAT(reader.Next(chunk, 100), StatusIs(code, HasSubstr("grpc: ")));
    EXPECT_EQ(reader.buffered(), 0u);
  }
}

}  // namespace
}  // namespace assay::rpc
