// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/listen_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/support/http2_client.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace assay::rpc {
namespace {

using absl::StatusCode;
using testing::_;
using testing::HasSubstr;

class ListenSocketTest : public testing::Test {
 protected:
  std::string path() const { return folder_.path() + "/s"; }
  TempFolder folder_;
};

TEST_F(ListenSocketTest, BindsWithTheModeAskedFor) {
  for (const mode_t mode : {0600, 0770, 0777}) {
    const mode_t before = umask(0077);
    const auto listener = ListenUnix(path(), mode);
    umask(before);
    ASSERT_OK(listener);
    struct stat found {};
    ASSERT_EQ(stat(path().c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 07777, mode);
    EXPECT_TRUE(ConnectUnix(path()).valid());
    unlink(path().c_str());
  }
}

TEST_F(ListenSocketTest, ReplacesAStaleSocketOnly) {
  { ASSERT_OK(ListenUnix(path(), 0600)); }
  const auto listener = ListenUnix(path(), 0600);
  ASSERT_OK(listener);
  EXPECT_THAT(ListenUnix(path(), 0600),
              StatusIs(StatusCode::kAlreadyExists, HasSubstr("in use by another process")));
  EXPECT_TRUE(ConnectUnix(path()).valid());
}

TEST_F(ListenSocketTest, LeavesOtherFilesAlone) {
  std::ofstream(path()) << "precious";
  EXPECT_THAT(ListenUnix(path(), 0600),
              StatusIs(StatusCode::kAlreadyExists, HasSubstr("no socket")));
  std::string content;
  std::ifstream(path()) >> content;
  EXPECT_EQ(content, "precious");
}

TEST_F(ListenSocketTest, RefusesPathsThatCannotBe) {
  for (const std::string& bad : {std::string(), std::string(108, 'x'), std::string("a\0b", 3)}) {
    EXPECT_THAT(ListenUnix(bad, 0600), StatusIs(StatusCode::kInvalidArgument, _));
  }
}

TEST_F(ListenSocketTest, MakesItsFolderSoThatAllMayEnter) {
  const mode_t before = umask(0077);
  EXPECT_OK(ListenUnix(folder_.path() + "/new/public/s", 0777));
  umask(before);
  struct stat found {};
  ASSERT_EQ(stat((folder_.path() + "/new/public").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0755u);
}

TEST_F(ListenSocketTest, RefusesAFolderInWhichOthersCouldReplaceIt) {
  ASSERT_EQ(chmod(folder_.path().c_str(), 0777), 0);
  EXPECT_THAT(ListenUnix(path(), 0777),
              StatusIs(StatusCode::kFailedPrecondition,
                       HasSubstr(folder_.path() + " is writable by everybody")));
  EXPECT_NE(access(path().c_str(), F_OK), 0);
}

TEST(ListenTcpTest, TakesAddressesOfBothFamiliesOnly) {
  EXPECT_OK(ListenTcp("127.0.0.1", 0));
  EXPECT_THAT(ListenTcp("localhost", 0), StatusIs(StatusCode::kInvalidArgument, _));
  EXPECT_THAT(ListenTcp("", 0), StatusIs(StatusCode::kInvalidArgument, _));
}

TEST(ListenTcpTest, TakesLocalhostAndNoOtherName) {
  for (const std::string host : {"localhost", "127.0.0.1", "::1"}) {
    EXPECT_OK(ListenTcpHost(host, 0)) << host;
  }
  EXPECT_THAT(ListenTcpHost("ip6-localhost", 0),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("is no IP address")));
}

TEST(ListenTcpTest, LocalhostIsNotAnotherAddressWhenItsPortIsTaken) {
  const auto first = ListenTcp("127.0.0.1", 0);
  ASSERT_OK(first);
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  getsockname(first->get(), reinterpret_cast<sockaddr*>(&address), &size);
  EXPECT_THAT(ListenTcpHost("localhost", ntohs(address.sin_port)),
              StatusIs(StatusCode::kUnavailable, HasSubstr("listening on 127.0.0.1")));
}

TEST(ListenTcpTest, KnowsWhatThisMachineAloneReaches) {
  for (const auto& [host, is_local] : {std::pair("localhost", true),
                                       {"127.0.0.9", true},
                                       {"::1", true},
                                       {"0.0.0.0", false},
                                       {"::", false}}) {
    const auto listener = ListenTcpHost(host, 0);
    ASSERT_OK(listener) << host;
    EXPECT_EQ(IsLocal(listener->get()), is_local) << host;
  }
}

}  // namespace
}  // namespace assay::rpc
