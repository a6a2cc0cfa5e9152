// SPDX-License-Identifier: GPL-3.0-or-later
// Runs a fuzz target's function without a fuzzer: on every file of the folders named, on each of
// them cut short at every length, and with each byte flipped, so that what a fuzzer found stays
// found and the code cannot rot.
//
//   x_replay CORPUS_FOLDER...
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

// Cutting and flipping at every byte is quadratic; longer inputs run as they are.
constexpr size_t kMaxMutatedBytes = 4096;

void Run(const std::string& input) {
  // A copy of the exact size, so that a read past the end is one AddressSanitizer sees.
  const std::vector<uint8_t> exact(input.begin(), input.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

void RunWithNeighbours(std::string input) {
  Run(input);
  if (input.size() > kMaxMutatedBytes) {
    return;
  }
  for (size_t i = 0; i < input.size(); ++i) {
    Run(input.substr(0, i));
    const char original = input[i];
    for (const int flip : {0x01, 0x80, 0xff}) {
      input[i] = static_cast<char>(original ^ flip);
      Run(input);
    }
    input[i] = original;
  }
}

}  // namespace

int main(int argc, char** argv) {
  Run("");
  int replayed = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (!entry.is_regular_file()) {
        continue;
      }
      std::ifstream file(entry.path(), std::ios::binary);
      RunWithNeighbours({std::istreambuf_iterator<char>(file), {}});
      ++replayed;
    }
  }
  std::printf("replayed %d inputs and their neighbours\n", replayed);
  return replayed > 0 ? 0 : 1;
}
