// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/digest.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "crypto/wolfcrypt.h"
// After wolfcrypt.h, which brings the options that these need.
#include <wolfssl/wolfcrypt/hash.h>
#include <wolfssl/wolfcrypt/hmac.h>

namespace assay::crypto {
namespace {

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase64Url =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr uint8_t kNotInAlphabet = 0xff;

constexpr std::array<uint8_t, 256> ValuesOf(std::string_view alphabet) {
  std::array<uint8_t, 256> values{};
  values.fill(kNotInAlphabet);
  for (size_t i = 0; i < alphabet.size(); ++i) {
    values[static_cast<uint8_t>(alphabet[i])] = static_cast<uint8_t>(i);
  }
  return values;
}
constexpr std::array<uint8_t, 256> kBase64Values = ValuesOf(kBase64);
constexpr std::array<uint8_t, 256> kBase64UrlValues = ValuesOf(kBase64Url);

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

void FillRandom(char* data, size_t size) {
  while (size > 0) {
    const ssize_t got = getrandom(data, size, 0);
    if (got < 0) {
      if (errno == EINTR) {
        continue;
      }
      Die("the kernel has no random bytes to give");
    }
    data += got;
    size -= static_cast<size_t>(got);
  }
}

std::string EncodeBits(std::string_view bytes, std::string_view alphabet) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  uint32_t window = 0;
  int bits = 0;
  for (const char c : bytes) {
    window = (window << 8) | static_cast<uint8_t>(c);
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      text += alphabet[(window >> bits) & 0x3f];
    }
  }
  if (bits > 0) {
    text += alphabet[(window << (6 - bits)) & 0x3f];
  }
  return text;
}

absl::StatusOr<std::string> DecodeBits(std::string_view text,
                                       const std::array<uint8_t, 256>& values) {
  if (text.size() % 4 == 1) {
    return InvalidArgument("base64 text is cut off");
  }
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  uint32_t window = 0;
  int bits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const uint8_t value = values[static_cast<uint8_t>(text[i])];
    if (value == kNotInAlphabet) {
      return InvalidArgument("base64 text has a foreign character at byte {}", i);
    }
    window = (window << 6) | value;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>((window >> bits) & 0xff);
    }
  }
  // One text for one value: signatures and digests over encoded text depend on it.
  if ((window & ((1u << bits) - 1)) != 0) {
    return InvalidArgument("base64 text ends in bits that are not zero");
  }
  return bytes;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  if (c >= 'A' && c <= 'F') {
    return c - 'A' + 10;
  }
  return -1;
}

}  // namespace

size_t DigestSize(Hash hash) {
  switch (hash) {
    case Hash::kSha1:
      return 20;
    case Hash::kSha256:
      return 32;
    case Hash::kSha384:
      return 48;
    case Hash::kSha512:
      return 64;
  }
  std::abort();
}

std::string Digest(Hash hash, std::string_view data) {
  std::string digest(DigestSize(hash), '\0');
  if (wc_Hash(WolfHashOf(hash), AsBytes(data), static_cast<word32>(data.size()),
              reinterpret_cast<byte*>(digest.data()), static_cast<word32>(digest.size())) != 0) {
    Die("out of memory in a hash");
  }
  return digest;
}

std::string Hmac(Hash hash, std::string_view key, std::string_view data) {
  std::string mac(DigestSize(hash), '\0');
  auto hmac = std::make_unique<::Hmac>();
  const bool done =
      wc_HmacInit(hmac.get(), nullptr, INVALID_DEVID) == 0 &&
      wc_HmacSetKey(hmac.get(), WolfHashOf(hash), AsBytes(key), static_cast<word32>(key.size())) ==
          0 &&
      wc_HmacUpdate(hmac.get(), AsBytes(data), static_cast<word32>(data.size())) == 0 &&
      wc_HmacFinal(hmac.get(), reinterpret_cast<byte*>(mac.data())) == 0;
  wc_HmacFree(hmac.get());
  Wipe(hmac.get(), sizeof(*hmac));
  if (!done) {
    Die("out of memory in an HMAC");
  }
  return mac;
}

std::string RandomBytes(size_t size) {
  std::string bytes(size, '\0');
  FillRandom(bytes.data(), size);
  return bytes;
}

Secret RandomSecret(size_t size) {
  std::string bytes = RandomBytes(size);
  return Secret::TakeFrom(bytes);
}

std::string HexEncode(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    text += kDigits[static_cast<uint8_t>(c) >> 4];
    text += kDigits[static_cast<uint8_t>(c) & 0xf];
  }
  return text;
}

absl::StatusOr<std::string> HexDecode(std::string_view text) {
  if (text.size() % 2 != 0) {
    return InvalidArgument("hex text has an odd number of digits");
  }
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = HexValue(text[i]);
    const int low = HexValue(text[i + 1]);
    if (high < 0 || low < 0) {
      return InvalidArgument("hex text has a foreign character near byte {}", i);
    }
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

std::string Base64Encode(std::string_view bytes) {
  std::string text = EncodeBits(bytes, kBase64);
  text.append((4 - text.size() % 4) % 4, '=');
  return text;
}

absl::StatusOr<std::string> Base64Decode(std::string_view text) {
  if (text.size() % 4 != 0) {
    return InvalidArgument("base64 text is not padded to a multiple of 4");
  }
  size_t size = text.size();
  for (int i = 0; i < 2 && size > 0 && text[size - 1] == '='; ++i) {
    --size;
  }
  return DecodeBits(text.substr(0, size), kBase64Values);
}

std::string Base64UrlEncode(std::string_view bytes) { return EncodeBits(bytes, kBase64Url); }

absl::StatusOr<std::string> Base64UrlDecode(std::string_view text) {
  return DecodeBits(text, kBase64UrlValues);
}

}  // namespace assay::crypto
