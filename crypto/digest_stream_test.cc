// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/digest_stream.h"

#include <gtest/gtest.h>

namespace assay::crypto {
namespace {

TEST(DigestStreamTest, EqualsTheDigestOfTheWholeWhateverThePieces) {
  const std::string data(1000, 'x');
  for (Hash hash : {Hash::kSha1, Hash::kSha256, Hash::kSha384, Hash::kSha512}) {
    for (size_t piece : {1, 63, 64, 65, 1000}) {
      DigestStream stream(hash);
      for (size_t at = 0; at < data.size(); at += piece) {
        stream.Update(std::string_view(data).substr(at, piece));
      }
      EXPECT_EQ(stream.Finish(), Digest(hash, data)) << piece;
    }
  }
}

TEST(DigestStreamTest, OfNothingIsTheDigestOfNothing) {
  EXPECT_EQ(DigestStream(Hash::kSha256).Finish(), Digest(Hash::kSha256, ""));
}

}  // namespace
}  // namespace assay::crypto
