// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay::tpm {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

class FindDeviceTest : public testing::Test {
 protected:
  void Touch(const std::string& name) { std::ofstream(folder_.path() + "/" + name).flush(); }
  TempFolder folder_;
};

TEST_F(FindDeviceTest, PrefersTheResourceManager) {
  Touch("tpm0");
  Touch("tpmrm0");
  EXPECT_EQ(FindDevice(folder_.path()).value(), folder_.path() + "/tpmrm0");
}

TEST_F(FindDeviceTest, TakesThePlainDeviceWhenItIsAlone) {
  Touch("tpm12");
  Touch("tpm");
  Touch("tpmx");
  Touch("xtpm0");
  EXPECT_EQ(FindDevice(folder_.path()).value(), folder_.path() + "/tpm12");
}

TEST_F(FindDeviceTest, DoesNotChooseBetweenTwo) {
  Touch("tpmrm0");
  Touch("tpmrm1");
  EXPECT_THAT(FindDevice(folder_.path()),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("2 TPM devices")));
}

TEST_F(FindDeviceTest, SaysThatThereIsNone) {
  EXPECT_THAT(FindDevice(folder_.path()), StatusIs(StatusCode::kNotFound, HasSubstr("no TPM")));
  EXPECT_THAT(FindDevice("/nonexistent"), StatusIs(StatusCode::kNotFound, HasSubstr("no TPM")));
}

TEST(ChooseTctiTest, KnowsWhichTpmsHaveNoResourceManager) {
  EXPECT_TRUE(ChooseTcti("swtpm:path=/x")->raw);
  EXPECT_TRUE(ChooseTcti("swtpm:host=127.0.0.1,port=2321")->raw);
  EXPECT_TRUE(ChooseTcti("device:/dev/tpm0")->raw);
  EXPECT_FALSE(ChooseTcti("device:/dev/tpmrm0")->raw);
  EXPECT_FALSE(ChooseTcti("tabrmd:bus_type=system")->raw);
  EXPECT_EQ(ChooseTcti("tabrmd:bus_type=system")->tcti, "tabrmd:bus_type=system");
}

TEST(ChooseTctiTest, OpensACharacterDeviceByItsPath) {
  EXPECT_EQ(ChooseTcti("/dev/null")->tcti, "device:/dev/null");
}

TEST(DiagnoseOpenFailureTest, SaysWhatTheDeviceItselfSays) {
  EXPECT_THAT(DiagnoseOpenFailure({.tcti = "device:/nonexistent/tpm0", .device = "d"}, "io"),
              StatusIs(StatusCode::kNotFound, HasSubstr("/nonexistent/tpm0")));
  EXPECT_THAT(DiagnoseOpenFailure({.tcti = "swtpm:path=/x", .device = "/x"}, "io"),
              StatusIs(StatusCode::kUnavailable, HasSubstr("io")));
}

}  // namespace
}  // namespace assay::tpm
