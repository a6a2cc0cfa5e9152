// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent/audit_verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/audit_chain.h"
#include "base/files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

// Lines of a log, each with its line feed.
std::vector<std::string> MakeLines(int count, std::string previous = NoAuditLine()) {
  std::vector<std::string> lines;
  for (int i = 0; i < count; ++i) {
    const SealedAuditLine line = SealAuditLine(fmt::format("{{\"number\":{}", i), previous);
    lines.push_back(line.text);
    previous = line.hash;
  }
  return lines;
}

std::string HashIn(const std::string& line) {
  return ParseAuditLine(line.substr(0, line.size() - 1)).value().hash;
}

std::string Join(const std::vector<std::string>& lines) {
  return fmt::format("{}", fmt::join(lines, ""));
}

struct Verified {
  absl::Status status;
  AuditVerifier verifier;
};

Verified Verify(const std::vector<std::string>& files, const std::string& anchor = "") {
  Verified result;
  result.verifier.LookFor(anchor);
  char name = 'a';
  for (const std::string& text : files) {
    result.verifier.BeginFile(std::string(1, name++));
    result.status.Update(result.verifier.Take(text));
    if (result.status.ok()) {
      result.status.Update(result.verifier.EndFile());
    }
  }
  if (result.status.ok()) {
    result.status.Update(result.verifier.Finish());
  }
  return result;
}

std::string Mistake(const std::vector<std::string>& files) {
  const Verified result = Verify(files);
  EXPECT_TRUE(result.status.ok() || absl::IsDataLoss(result.status)) << result.status;
  return std::string(Message(result.status));
}

TEST(AuditVerifierTest, ALineIsWhatCoreutilsCanCheck) {
  const SealedAuditLine line = SealAuditLine("{\"a\":1", NoAuditLine());
  // printf '{"a":1,"previous":"%064d"' 0 | sha256sum
  EXPECT_EQ(line.text, "{\"a\":1,\"previous\":\"" + std::string(64, '0') + "\",\"hash\":\"" +
                           line.hash + "\"}\n");
  EXPECT_EQ(line.hash, "2dd2382acd5d33d6ca947dfd9db001f1532462b25791853156f32a70ed85cb52");
}

TEST(AuditVerifierTest, TakesAWholeLogInPartsOfAnySize) {
  const std::vector<std::string> lines = MakeLines(4);
  const std::string text = Join(lines);
  for (size_t part : {size_t{1}, size_t{7}, text.size()}) {
    AuditVerifier verifier;
    verifier.BeginFile("a");
    for (size_t at = 0; at < text.size(); at += part) {
      ASSERT_OK(verifier.Take(std::string_view(text).substr(at, part)));
    }
    ASSERT_OK(verifier.EndFile());
    EXPECT_OK(verifier.Finish());
    EXPECT_EQ(verifier.lines(), 4U);
    EXPECT_EQ(verifier.last_hash(), HashIn(lines.back()));
    EXPECT_EQ(verifier.begins_after(), NoAuditLine());
    EXPECT_THAT(verifier.notes(), IsEmpty());
  }
}

TEST(AuditVerifierTest, FindsALineThatWasChanged) {
  for (int changed = 0; changed < 4; ++changed) {
    std::vector<std::string> lines = MakeLines(4);
    std::string& line = lines[static_cast<size_t>(changed)];
    line.replace(line.find(":") + 1, 1, "7");
    EXPECT_EQ(Mistake({Join(lines)}),
              fmt::format("a:{}: it is not what its hash was taken of", changed + 1));
  }
}

TEST(AuditVerifierTest, FindsALineThatWasWrittenAnewWithItsHash) {
  std::vector<std::string> lines = MakeLines(4);
  lines[1] = SealAuditLine("{\"number\":7", HashIn(lines[0])).text;
  EXPECT_THAT(Mistake({Join(lines)}), StartsWith("a:3: it does not follow the line before"));
}

TEST(AuditVerifierTest, FindsLinesThatWereRemovedSwappedOrPutIn) {
  std::vector<std::string> removed = MakeLines(4);
  removed.erase(removed.begin() + 2);
  EXPECT_THAT(Mistake({Join(removed)}), StartsWith("a:3: it does not follow"));
  std::vector<std::string> swapped = MakeLines(4);
  std::swap(swapped[1], swapped[2]);
  EXPECT_THAT(Mistake({Join(swapped)}), StartsWith("a:2: it does not follow"));
  std::vector<std::string> twice = MakeLines(4);
  twice.insert(twice.begin() + 1, twice[1]);
  EXPECT_THAT(Mistake({Join(twice)}), StartsWith("a:3: it does not follow"));
  for (const std::string& appended : {std::string("{}\n"), std::string("\n"), MakeLines(1)[0]}) {
    EXPECT_THAT(Mistake({Join(MakeLines(4)) + appended}), StartsWith("a:5: ")) << appended;
  }
}

TEST(AuditVerifierTest, FindsAFileThatWasCutOff) {
  const std::string text = Join(MakeLines(4));
  EXPECT_EQ(Mistake({text.substr(0, text.size() - 5)}), "a:4: the last line is cut off");
  EXPECT_EQ(Mistake({text.substr(0, text.size() - 1)}), "a:4: the last line is cut off");
  EXPECT_EQ(Mistake({""}), "a: it is empty");
  EXPECT_EQ(Mistake({text, ""}), "b: it is empty");
}

TEST(AuditVerifierTest, AnAnchorTellsThatTheLastLinesAreGone) {
  const std::vector<std::string> lines = MakeLines(4);
  const std::string shorter = Join({lines[0], lines[1], lines[2]});
  EXPECT_OK(Verify({shorter}).status) << "nothing in a log can tell of what followed";
  EXPECT_OK(Verify({Join(lines)}, HashIn(lines[3])).status);
  EXPECT_THAT(Verify({shorter}, HashIn(lines[3])).status,
              StatusIs(StatusCode::kDataLoss, HasSubstr("no line has the hash")));
}

TEST(AuditVerifierTest, FollowsTheChainThroughFiles) {
  const std::vector<std::string> lines = MakeLines(4);
  const std::string first = Join({lines[0], lines[1]}), second = Join({lines[2], lines[3]});
  const Verified both = Verify({first, second});
  EXPECT_OK(both.status);
  EXPECT_EQ(both.verifier.lines(), 4U);
  EXPECT_EQ(Verify({second}).verifier.begins_after(), HashIn(lines[1]));
  EXPECT_THAT(Mistake({second, first}), StartsWith("b:1: a log begins anew here"));
  EXPECT_THAT(Mistake({lines[0], second}), StartsWith("b:1: it does not follow"));
}

TEST(AuditVerifierTest, TellsOfAPieceThatTheNextLineAccountsFor) {
  const std::vector<std::string> lines = MakeLines(2);
  const std::string piece = lines[1].substr(0, 20);
  const auto opened = [&](std::string_view of, std::string_view after) {
    const TornAuditLine torn = TornAuditLineOf(of);
    return SealAuditLine(fmt::format("{{\"torn\":{{\"bytes\":{},\"sha256\":\"{}\"}}", torn.bytes,
                                     torn.sha256),
                         HashIn(std::string(after)))
        .text;
  };
  const Verified result = Verify({lines[0] + piece + "\n" + opened(piece, lines[0])});
  EXPECT_OK(result.status);
  EXPECT_THAT(result.verifier.notes(), ElementsAre(StartsWith("a:2: a piece of a line")));
  EXPECT_THAT(Mistake({lines[0] + piece + "x\n" + opened(piece, lines[0])}), StartsWith("a:2: "));
  EXPECT_THAT(Mistake({lines[0] + piece + "\n" + lines[1]}), StartsWith("a:2: "));
  EXPECT_THAT(Mistake({lines[0] + opened(piece, lines[0])}), StartsWith("a:2: it tells of"));
  EXPECT_THAT(Mistake({lines[0] + piece + "\n" + piece + "\n" + opened(piece, lines[0])}),
              StartsWith("a:2: "));
}

TEST(AuditVerifierTest, RefusesLinesWithoutEnd) {
  AuditVerifier verifier;
  verifier.BeginFile("a");
  EXPECT_THAT(verifier.Take(std::string(AuditVerifier::kMaxPieceBytes + 1, 'x')),
              StatusIs(StatusCode::kDataLoss, HasSubstr("a:1: it is longer than any line")));
}

TEST(AuditVerifierTest, ReadsFiles) {
  const TempFolder folder;
  const std::vector<std::string> lines = MakeLines(2);
  const std::string path = folder.path() + "/log";
  ASSERT_OK(WriteFileAtomically(path, Join(lines), 0600));
  AuditVerifier verifier;
  EXPECT_OK(VerifyAuditFiles({path}, verifier));
  EXPECT_EQ(verifier.lines(), 2U);
  AuditVerifier other;
  EXPECT_THAT(VerifyAuditFiles({folder.path() + "/none"}, other),
              StatusIs(StatusCode::kNotFound, HasSubstr("/none")));
}

}  // namespace
}  // namespace assay
