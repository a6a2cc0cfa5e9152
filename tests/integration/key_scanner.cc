// SPDX-License-Identifier: GPL-3.0-or-later
// Looks for the private key of a P-256 certificate in files and in the memory of processes. It
// knows no more of the key than the certificate says: 32 bytes are the key when their public key is
// the certificate's. It looks at what is like random numbers, in the order of their bytes and in
// the opposite, as numbers lie in memory, and behind base64.
//
//   key-scanner CERTIFICATE.pem [FILE | FOLDER | PID]...
//
// A line for each find. Status 0: none; 1: the key was found; 2: something could not be read.
#include <fcntl.h>
#include <unistd.h>

#include <bitset>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/files.h"
#include "base/unique_fd.h"
#include "crypto/certificate.h"
#include "crypto/pem.h"

namespace assay {
namespace {

constexpr size_t kScalarBytes = 32;
// Of 32 random bytes fewer are distinct once in a million times; of text, code and pointers nearly
// always.
constexpr size_t kLeastDistinct = 24;
// Where compilers and allocators put large numbers.
constexpr size_t kAlignment = 8;
constexpr size_t kLeastBase64 = 100;

class Scanner final {
 public:
  explicit Scanner(crypto::PublicKey wanted) : wanted_(std::move(wanted)) {}

  // How often the key is in there.
  size_t CountIn(std::string_view bytes) {
    size_t found = 0;
    for (size_t at = 0; at + kScalarBytes <= bytes.size(); ++at) {
      // In DER the key is an OCTET STRING of its size, wherever that lies.
      const bool is_der = at >= 2 && bytes[at - 2] == 4 && bytes[at - 1] == kScalarBytes;
      if (is_der || at % kAlignment == 0) {
        found += Try(bytes.substr(at, kScalarBytes)) ? 1 : 0;
      }
    }
    return found + CountInBase64(bytes);
  }
  size_t tried() const { return seen_.size(); }

 private:
  bool Try(std::string_view window) {
    if (!IsLikeRandom(window)) {
      return false;
    }
    if (!seen_.emplace(window).second) {
      return found_.contains(std::string(window));
    }
    const std::string reversed(window.rbegin(), window.rend());
    if (IsTheKey(window) || IsTheKey(reversed)) {
      found_.emplace(window);
      return true;
    }
    return false;
  }

  static bool IsLikeRandom(std::string_view window) {
    std::bitset<256> distinct;
    size_t repeated = 0;
    for (const char byte : window) {
      const auto value = static_cast<unsigned char>(byte);
      repeated += distinct[value] ? 1 : 0;
      distinct[value] = true;
      if (repeated > kScalarBytes - kLeastDistinct) {
        return false;
      }
    }
    return true;
  }

  bool IsTheKey(std::string_view scalar) const {
    using std::string_literals::operator""s;
    // ECPrivateKey (RFC 5915) without the public key.
    const std::string der = "\x30\x31\x02\x01\x01\x04\x20"s.append(scalar) +
                            "\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"s;
    const auto key = crypto::PrivateKey::Parse(Secret(der));
    return key.ok() && (*key)->public_key() == wanted_;
  }

  size_t CountInBase64(std::string_view bytes) {
    std::bitset<256> digits;
    for (const char digit :
         std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")) {
      digits.set(static_cast<unsigned char>(digit));
    }
    size_t found = 0;
    std::string run;
    for (size_t at = 0; at <= bytes.size(); ++at) {
      if (at < bytes.size() && digits[static_cast<unsigned char>(bytes[at])]) {
        run += bytes[at];
      } else if (at == bytes.size() || bytes[at] != '\n') {
        found += run.size() < kLeastBase64 ? 0 : CountDecoded(run);
        run.clear();
      }
    }
    return found;
  }
  // The text may begin after digits that are none of its own.
  size_t CountDecoded(const std::string& run) {
    size_t found = 0;
    for (size_t skipped = 0; skipped < 4; ++skipped) {
      const size_t size = (run.size() - skipped) / 4 * 4;
      const auto decoded = crypto::Base64Decode(run.substr(skipped, size));
      for (size_t at = 2; decoded.ok() && at + kScalarBytes <= decoded->size(); ++at) {
        if (decoded->at(at - 2) == 4 && decoded->at(at - 1) == kScalarBytes) {
          found += Try(std::string_view(*decoded).substr(at, kScalarBytes)) ? 1 : 0;
        }
      }
    }
    return found;
  }

  const crypto::PublicKey wanted_;
  std::unordered_set<std::string> seen_, found_;
};

struct Mapping {
  uint64_t begin, end;
};

// What a process may have written to. A mapping that no memory has room for is none: it is where a
// sanitizer keeps account of the others.
std::vector<Mapping> MappingsOf(const std::string& process) {
  constexpr uint64_t kLargest = uint64_t{64} << 30;
  std::vector<Mapping> mappings;
  std::ifstream maps(process + "/maps");
  for (std::string line; std::getline(maps, line);) {
    Mapping mapping{};
    uint64_t inode = 0;
    char permissions[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s %*x %*s %lu", &mapping.begin, &mapping.end,
                    permissions, &inode) == 4 &&
        permissions[0] == 'r' && (inode == 0 || permissions[1] == 'w') &&
        mapping.end - mapping.begin <= kLargest) {
      mappings.push_back(mapping);
    }
  }
  return mappings;
}

// The bytes of the pages that a process has touched, neighbours together.
absl::StatusOr<std::vector<std::string>> MemoryOf(const std::string& process) {
  constexpr size_t kEntriesAtOnce = 4096;
  constexpr uint64_t kPresentOrSwapped = uint64_t{3} << 62;
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const UniqueFd memory(open((process + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd pages(open((process + "/pagemap").c_str(), O_RDONLY | O_CLOEXEC));
  if (!memory.valid() || !pages.valid()) {
    return PermissionDenied("cannot read the memory of {}", process);
  }
  std::vector<std::string> regions;
  std::string bytes(page, '\0');
  for (const Mapping& mapping : MappingsOf(process)) {
    regions.emplace_back();
    std::vector<uint64_t> entries;
    for (uint64_t at = mapping.begin; at < mapping.end; at += page) {
      const size_t index = (at - mapping.begin) / page % kEntriesAtOnce;
      if (index == 0) {
        entries.assign(kEntriesAtOnce, 0);
        if (pread(pages.get(), entries.data(), entries.size() * sizeof(uint64_t),
                  static_cast<off_t>(at / page * sizeof(uint64_t))) < 0) {
          return ErrnoStatus(errno, fmt::format("looking at the pages of {}", process));
        }
      }
      if ((entries[index] & kPresentOrSwapped) != 0 &&
          pread(memory.get(), bytes.data(), page, static_cast<off_t>(at)) ==
              static_cast<ssize_t>(page)) {
        regions.back() += bytes;
      } else if (!regions.back().empty()) {
        regions.emplace_back();
      }
    }
  }
  return regions;
}

absl::StatusOr<std::vector<std::string>> FilesOf(const std::string& path) {
  std::vector<std::string> files;
  if (!std::filesystem::is_directory(path)) {
    ASSIGN_OR_RETURN(files.emplace_back(), ReadFile(path));
    return files;
  }
  for (const auto& file : std::filesystem::recursive_directory_iterator(path)) {
    if (file.is_regular_file()) {
      ASSIGN_OR_RETURN(files.emplace_back(), ReadFile(file.path().string()));
    }
  }
  return files;
}

int Run(const std::vector<std::string>& arguments) {
  const auto text = ReadFile(arguments.at(0));
  const auto chain = text.ok() ? crypto::Certificate::ParsePem(*text)
                               : absl::StatusOr<std::vector<crypto::Certificate>>(text.status());
  if (!chain.ok()) {
    std::cerr << Message(chain.status()) << "\n";
    return 2;
  }
  Scanner scanner(chain->front().public_key());
  size_t found = 0;
  for (size_t i = 1; i < arguments.size(); ++i) {
    const bool is_process = arguments[i].find_first_not_of("0123456789") == std::string::npos;
    const auto regions = is_process ? MemoryOf("/proc/" + arguments[i]) : FilesOf(arguments[i]);
    if (!regions.ok()) {
      std::cerr << Message(regions.status()) << "\n";
      return 2;
    }
    size_t bytes = 0, here = 0;
    for (const std::string& region : *regions) {
      bytes += region.size();
      here += scanner.CountIn(region);
    }
    std::printf("%s: %zu bytes, the key %zu times\n", arguments[i].c_str(), bytes, here);
    found += here;
  }
  std::printf("%zu numbers tried\n", scanner.tried());
  return found == 0 ? 0 : 1;
}

}  // namespace
}  // namespace assay

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: key-scanner CERTIFICATE.pem [FILE | FOLDER | PID]...\n");
    return 2;
  }
  return assay::Run(std::vector<std::string>(argv + 1, argv + argc));
}
