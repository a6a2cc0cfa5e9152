// SPDX-License-Identifier: GPL-3.0-or-later
// A TCP socket of this machine that listens on a free port, and whose connections nobody takes.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/unique_fd.h"

namespace assay {

// The address is in the host's byte order: INADDR_LOOPBACK.
inline UniqueFd ListenOn(uint32_t ip) {
  UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(ip);
  EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(listen(listener.get(), SOMAXCONN), 0);
  return listener;
}

}  // namespace assay
