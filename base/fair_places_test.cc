// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/fair_places.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

TEST(FairPlacesTest, WhoHoldsMostMakesWay) {
  FairPlaces places;
  EXPECT_EQ(places.YoungestOfLarger("a"), std::nullopt);
  EXPECT_EQ(places.OldestOfLargest(), std::nullopt);
  places.Add("a", 1);
  places.Add("b", 2);
  places.Add("b", 3);
  places.Add("b", 3);
  EXPECT_EQ(places.size(), 3u);
  EXPECT_EQ(places.YoungestOfLarger("a"), 3u);
  EXPECT_EQ(places.YoungestOfLarger("new"), 3u);
  EXPECT_EQ(places.YoungestOfLarger("b"), std::nullopt);
  EXPECT_EQ(places.OldestOfLargest(), 2u);
}

TEST(FairPlacesTest, AmongEqualsAgeDecides) {
  FairPlaces places;
  places.Add("b", 1);
  places.Add("a", 2);
  places.Add("c", 3);
  EXPECT_EQ(places.OldestOfLargest(), 1u);
  EXPECT_EQ(places.YoungestOfLarger("new"), 3u);
  EXPECT_EQ(places.YoungestOfLarger("a"), std::nullopt);
}

TEST(FairPlacesTest, CountsWhatIsThere) {
  FairPlaces places;
  places.Add("a", 1);
  places.Add("a", 2);
  places.Add("b", 3);
  places.Remove("a", 1);
  places.Remove("a", 1);
  places.Remove("unknown", 1);
  EXPECT_EQ(places.size(), 2u);
  EXPECT_EQ(places.YoungestOfLarger("b"), std::nullopt);
  places.Remove("a", 2);
  places.Remove("b", 3);
  EXPECT_EQ(places.size(), 0u);
  EXPECT_EQ(places.OldestOfLargest(), std::nullopt);
}

}  // namespace
}  // namespace assay
