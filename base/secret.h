// SPDX-License-Identifier: GPL-3.0-or-later
// Bytes that must not leak: a private key, a token, a password. A Secret wipes its memory when it
// dies, compares in constant time, cannot be copied by accident, and has no formatter, so logging
// it does not compile. Its bytes come out only by Reveal(), a word to search for in review.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace assay {

// Overwrites size bytes at data so that no optimiser removes it.
inline void Wipe(void* data, size_t size) {
  if (size > 0) {
    explicit_bzero(data, size);
  }
}

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view bytes)
      : bytes_(std::make_unique<char[]>(bytes.size())), size_(bytes.size()) {
    std::copy(bytes.begin(), bytes.end(), bytes_.get());
  }
  // Takes the bytes and wipes the string they came in.
  static Secret TakeFrom(std::string& bytes) {
    Secret secret(bytes);
    Wipe(bytes.data(), bytes.size());
    bytes.clear();
    return secret;
  }
  Secret(Secret&& other) noexcept
      : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}
  Secret& operator=(Secret&& other) noexcept {
    Clear();
    bytes_ = std::move(other.bytes_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { Clear(); }

  // A second copy, made on purpose.
  Secret Clone() const { return Secret(Reveal()); }
  std::string_view Reveal() const { return {bytes_.get(), size_}; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Takes time that depends on the sizes alone.
  friend bool operator==(const Secret& a, const Secret& b) {
    if (a.size_ != b.size_) {
      return false;
    }
    unsigned char difference = 0;
    for (size_t i = 0; i < a.size_; ++i) {
      difference |= static_cast<unsigned char>(a.bytes_[i] ^ b.bytes_[i]);
    }
    return difference == 0;
  }

 private:
  void Clear() {
    if (bytes_) {
      Wipe(bytes_.get(), size_);
    }
    bytes_.reset();
    size_ = 0;
  }

  std::unique_ptr<char[]> bytes_;
  size_t size_ = 0;
};

}  // namespace assay
