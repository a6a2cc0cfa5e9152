// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/call.h"

#include <algorithm>
#include <limits>

#include "base/secret.h"

namespace assay::rpc {
namespace {

constexpr size_t kPrefixBytes = 5;

// The uncompressed flag and the big-endian length that stand before each message.
void PutPrefix(size_t size, char* out) {
  out[0] = 0;
  for (size_t i = 0; i < 4; ++i) {
    out[1 + i] = static_cast<char>(size >> (8 * (3 - i)));
  }
}

std::string_view NameOf(const std::pair<std::string, MakeHandler>& method) { return method.first; }

// "/package.Service/" of "/package.Service/Method"; empty when it is neither.
std::string_view ServicePart(std::string_view full_method) {
  const size_t slash = full_method.rfind('/');
  return slash == std::string_view::npos ? "" : full_method.substr(0, slash + 1);
}

}  // namespace

Frame::Frame(const google::protobuf::MessageLite& message) {
  const size_t size = message.ByteSizeLong();
  bytes_.resize(kPrefixBytes + size);
  PutPrefix(size, bytes_.data());
  message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(bytes_.data()) + kPrefixBytes);
}

Frame::Frame(std::string_view protobuf_bytes) {
  bytes_.reserve(kPrefixBytes + protobuf_bytes.size());
  bytes_.resize(kPrefixBytes);
  PutPrefix(protobuf_bytes.size(), bytes_.data());
  bytes_ += protobuf_bytes;
}

Frame::~Frame() { Wipe(bytes_.data(), bytes_.size()); }

void Registry::Add(std::string full_method, MakeHandler make) {
  const auto at = std::ranges::lower_bound(methods_, std::string_view(full_method), {}, NameOf);
  if (at != methods_.end() && at->first == full_method) {
    at->second = std::move(make);
    return;
  }
  methods_.emplace(at, std::move(full_method), std::move(make));
}

const MakeHandler* Registry::Find(std::string_view full_method) const {
  const auto at = std::ranges::lower_bound(methods_, full_method, {}, NameOf);
  return at != methods_.end() && at->first == full_method ? &at->second : nullptr;
}

bool Registry::HasService(std::string_view service) const {
  const std::string prefix = fmt::format("/{}/", service);
  return std::ranges::any_of(
      methods_, [&](const auto& method) { return ServicePart(method.first) == prefix; });
}

std::vector<std::string> Registry::Services() const {
  std::vector<std::string> services;
  for (const auto& [name, make] : methods_) {
    const std::string_view part = ServicePart(name);
    if (part.size() > 2) {
      services.emplace_back(part.substr(1, part.size() - 2));
    }
  }
  std::ranges::sort(services);
  services.erase(std::unique(services.begin(), services.end()), services.end());
  return services;
}

void Responder::Reply(const google::protobuf::MessageLite& message) const {
  if (!*alive_) {
    return;
  }
  call_->Send(std::make_shared<const Frame>(message));
  call_->Finish(absl::OkStatus());
}

void Responder::Fail(const absl::Status& status, std::string_view details) const {
  if (*alive_) {
    call_->Finish(status, details);
  }
}

void UnaryHandler::OnMessage(std::string_view bytes) {
  // A second message is ignored, as grpc-go does, which answers the first without looking further.
  if (received_) {
    return;
  }
  received_ = true;
  if (!Serve(bytes, Responder(&call_, alive_))) {
    call_.Finish(MakeStatus(absl::StatusCode::kInternal,
                            "grpc: error unmarshalling request: proto: cannot parse invalid "
                            "wire-format data"));
  }
}

void UnaryHandler::OnHalfClose() {
  if (!received_) {
    call_.Finish(MakeStatus(absl::StatusCode::kUnknown, "EOF"));
  }
}

}  // namespace assay::rpc
