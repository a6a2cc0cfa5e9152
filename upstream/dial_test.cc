// SPDX-License-Identifier: GPL-3.0-or-later
#include "upstream/dial.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>

#include "base/clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/tcp_listener.h"

namespace assay {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

SocketAddress AddressOf(const UniqueFd& listener) {
  SocketAddress address;
  address.size = sizeof(address.bytes);
  getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address.bytes), &address.size);
  return address;
}

UniqueFd Connect(const SocketAddress& address) {
  UniqueFd fd(socket(address.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  static_cast<void>(
      connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.bytes), address.size));
  return fd;
}

// An address that answers nothing: its queue of connections is full.
class BlackHole final {
 public:
  BlackHole() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)) != 0 ||
        listen(listener_.get(), 0) != 0) {
      std::abort();
    }
    for (UniqueFd& fd : fillers_) {
      fd = Connect(address());
    }
  }
  SocketAddress address() const { return AddressOf(listener_); }

 private:
  UniqueFd listener_;
  UniqueFd fillers_[4];
};

// An address where nobody listens.
SocketAddress Closed() { return AddressOf(ListenOn(INADDR_LOOPBACK)); }

TEST(DialTest, TheFirstThatAnswersIsTaken) {
  const UniqueFd one = ListenOn(INADDR_LOOPBACK);
  const UniqueFd two = ListenOn(INADDR_LOOPBACK);
  EXPECT_EQ(DialTcp({AddressOf(one), AddressOf(two)}).value().index, 0u);
  EXPECT_EQ(DialTcp({Closed(), AddressOf(two)}).value().index, 1u);
}

TEST(DialTest, AnAddressThatIsSilentHoldsUpTheOthersForAMoment) {
  const BlackHole hole;
  const UniqueFd listener = ListenOn(INADDR_LOOPBACK);
  const SystemClock clock;
  const absl::Duration begun = clock.SinceBoot();
  const auto dialed = DialTcp({hole.address(), hole.address(), AddressOf(listener)},
                              {.timeout = absl::Minutes(1), .stagger = absl::Milliseconds(20)});
  ASSERT_OK(dialed);
  EXPECT_EQ(dialed->index, 2u);
  EXPECT_LT(clock.SinceBoot() - begun, absl::Seconds(30));
}

// An address that a connection of TCP is refused to at once.
SocketAddress Broadcast() {
  SocketAddress address = Closed();
  sockaddr_in four;
  std::memcpy(&four, &address.bytes, sizeof(four));
  four.sin_addr.s_addr = htonl(INADDR_BROADCAST);
  std::memcpy(&address.bytes, &four, sizeof(four));
  return address;
}

TEST(DialTest, AnAddressThatFailsAtOnceHoldsUpNone) {
  const BlackHole hole;
  const UniqueFd listener = ListenOn(INADDR_LOOPBACK);
  std::vector<SocketAddress> addresses(60, Broadcast());
  addresses.insert(addresses.begin(), hole.address());
  addresses.push_back(AddressOf(listener));
  const SystemClock clock;
  const absl::Duration begun = clock.SinceBoot();
  const auto dialed =
      DialTcp(addresses, {.timeout = absl::Minutes(1), .stagger = absl::Milliseconds(200)});
  ASSERT_OK(dialed);
  EXPECT_EQ(dialed->index, addresses.size() - 1);
  EXPECT_LT(clock.SinceBoot() - begun, absl::Seconds(10));
}

TEST(DialTest, AllTogetherGetTheTimeThatThereIs) {
  const BlackHole hole;
  const SystemClock clock;
  const absl::Duration begun = clock.SinceBoot();
  EXPECT_THAT(DialTcp(std::vector<SocketAddress>(40, hole.address()),
                      {.timeout = absl::Minutes(1), .within = absl::Milliseconds(300)}),
              StatusIs(StatusCode::kUnavailable, HasSubstr("timed out")));
  EXPECT_LT(clock.SinceBoot() - begun, absl::Seconds(9)) << "the stagger of all";
}

TEST(DialTest, SaysWhyNoneAnswers) {
  EXPECT_THAT(DialTcp({Closed(), Closed()}),
              StatusIs(StatusCode::kUnavailable, "connect: Connection refused"));
  const BlackHole hole;
  EXPECT_THAT(DialTcp({hole.address()}, {.timeout = absl::Milliseconds(30)}),
              StatusIs(StatusCode::kUnavailable, HasSubstr("timed out")));
  EXPECT_THAT(DialTcp({}), StatusIs(StatusCode::kUnavailable, HasSubstr("no address")));
}

TEST(DialTest, ResolvesNamesAndNumbers) {
  EXPECT_EQ(ResolveHost("127.0.0.1", 80).value().at(0).ToString(), "127.0.0.1:80");
  EXPECT_EQ(ResolveHost("::1", 80).value().at(0).ToString(), "[::1]:80");
  EXPECT_OK(ResolveHost("localhost", 80));
  EXPECT_THAT(ResolveHost("no-such-host.invalid", 80),
              StatusIs(StatusCode::kUnavailable, HasSubstr("resolving \"no-such-host.invalid\"")));
}

}  // namespace
}  // namespace assay
