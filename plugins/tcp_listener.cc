// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/tcp_listener.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <vector>

namespace assay {
namespace {

constexpr std::string_view kListens = "0A";
constexpr const char* kTables[] = {"/proc/net/tcp", "/proc/net/tcp6"};

std::string Local(const in6_addr& address, in_port_t port) {
  std::array<uint32_t, 4> words;
  memcpy(words.data(), &address, sizeof(address));
  return fmt::format("{:08X}{:08X}{:08X}{:08X}:{:04X}", words[0], words[1], words[2], words[3],
                     ntohs(port));
}

std::string Local(uint32_t address, in_port_t port) {
  return fmt::format("{:08X}:{:04X}", address, ntohs(port));
}

// The kernel gives a connection to one who listens on the very address before all others.
struct Locals {
  std::vector<std::string> exact;
  std::vector<std::string> any;
};

Locals LocalsOf(const PluginAddress& address) {
  if (address.storage.ss_family == AF_INET6) {
    sockaddr_in6 ipv6{};
    memcpy(&ipv6, &address.storage, sizeof(ipv6));
    return {{Local(ipv6.sin6_addr, ipv6.sin6_port)}, {Local(in6addr_any, ipv6.sin6_port)}};
  }
  sockaddr_in ipv4{};
  memcpy(&ipv4, &address.storage, sizeof(ipv4));
  in6_addr mapped{};
  mapped.s6_addr[10] = mapped.s6_addr[11] = 0xff;
  memcpy(&mapped.s6_addr[12], &ipv4.sin_addr, sizeof(ipv4.sin_addr));
  return {{Local(ipv4.sin_addr.s_addr, ipv4.sin_port), Local(mapped, ipv4.sin_port)},
          {Local(INADDR_ANY, ipv4.sin_port), Local(in6addr_any, ipv4.sin_port)}};
}

std::vector<TcpListener> ReadListeners() {
  std::vector<TcpListener> all;
  for (const char* table : kTables) {
    std::ifstream rows(table);
    for (std::string row; std::getline(rows, row);) {
      if (std::optional<TcpListener> listener = ParseTcpListener(row)) {
        all.push_back(*std::move(listener));
      }
    }
  }
  return all;
}

}  // namespace

std::optional<TcpListener> ParseTcpListener(std::string_view row) {
  // Number, local address, remote address, state, queues, timer, retransmissions, user.
  std::array<std::string_view, 8> fields;
  for (std::string_view& field : fields) {
    row.remove_prefix(std::min(row.find_first_not_of(' '), row.size()));
    field = row.substr(0, row.find(' '));
    row.remove_prefix(field.size());
  }
  TcpListener listener{.local = std::string(fields[1]), .uid = 0};
  const std::string_view user = fields[7];
  const auto read = std::from_chars(user.data(), user.data() + user.size(), listener.uid);
  if (fields[3] != kListens || read.ec != std::errc() || read.ptr != user.data() + user.size()) {
    return std::nullopt;
  }
  return listener;
}

absl::Status CheckTcpListener(const PluginAddress& address, uid_t owner) {
  const std::vector<TcpListener> all = ReadListeners();
  const Locals locals = LocalsOf(address);
  for (const auto& wanted : {locals.exact, locals.any}) {
    bool found = false;
    for (const TcpListener& listener : all) {
      if (std::find(wanted.begin(), wanted.end(), listener.local) == wanted.end()) {
        continue;
      }
      if (listener.uid != owner) {
        return PermissionDenied(
            "user {} listens on the plugin's TCP port, and not the plugin's user {}", listener.uid,
            owner);
      }
      found = true;
    }
    if (found) {
      return absl::OkStatus();
    }
  }
  return PermissionDenied("nobody is seen to listen on the plugin's TCP port");
}

}  // namespace assay
