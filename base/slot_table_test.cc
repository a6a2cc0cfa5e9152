// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/slot_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace assay {
namespace {

using testing::Optional;

// So many that some pairs have one hash.
constexpr uint32_t kMany = 300'000;

TEST(SlotTableTest, FindsEachOfManyAndNoneThatWasErased) {
  std::vector<std::string> keys;
  SlotTable table;
  const auto key_of = [&](uint32_t slot) -> std::string_view { return keys[slot]; };
  for (uint32_t slot = 0; slot < kMany; ++slot) {
    keys.push_back(std::to_string(slot));
    ASSERT_EQ(table.Find(keys[slot], key_of), std::nullopt);
    table.Insert(slot, keys[slot]);
  }
  EXPECT_EQ(table.size(), kMany);
  for (uint32_t slot = 0; slot < kMany; slot += 2) {
    table.Erase(slot, keys[slot]);
  }
  EXPECT_EQ(table.size(), kMany / 2);
  for (uint32_t slot = 0; slot < kMany; slot += 2) {
    ASSERT_EQ(table.Find(keys[slot], key_of), std::nullopt);
    ASSERT_THAT(table.Find(keys[slot + 1], key_of), Optional(slot + 1));
  }
}

TEST(SlotTableTest, IsEmptyAtFirst) {
  EXPECT_EQ(SlotTable().Find("a", [](uint32_t) { return std::string_view("a"); }), std::nullopt);
}

}  // namespace
}  // namespace assay
