// Runs a fuzz target without a fuzzer: every file of the given folders, every shorter piece of it, and damaged copies.
// It fails by crashing, as a fuzzer would. The damage is seeded by constants, so a failure repeats.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t k_truncations_max = 512;  // A file is cut at this many places at most: longer ones would take minutes.
constexpr int k_damaged_copies = 500;

size_t runs = 0;

void run(const std::string& input) {
  // A copy of exact size on the heap, so that the address sanitizer sees a read beyond it.
  std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  runs++;
}

void run_damaged(std::string input, std::mt19937_64& chance) {
  size_t edits = 1 + chance() % 4;
  for (size_t i = 0; i < edits; i++) {
    if (input.empty()) {
      input.push_back(static_cast<char>(chance()));
      continue;
    }
    size_t at = chance() % input.size();
    switch (chance() % 5) {
      case 0: input[at] = static_cast<char>(input[at] ^ (1 << (chance() % 8))); break;
      case 1: input[at] = static_cast<char>(chance()); break;
      case 2: input.insert(at, 1, static_cast<char>(chance())); break;
      case 3: input.erase(at, 1 + chance() % 8); break;
      case 4: input.replace(at, 1, "\xff\xff\xff\xff"); break;
    }
  }
  run(input);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> inputs = {""};
  for (int i = 1; i < argc; i++) {
    if (!std::filesystem::is_directory(argv[i])) {
      continue;
    }
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
      std::ifstream in(file, std::ios::binary);
      inputs.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
  }
  std::mt19937_64 chance(20);
  for (const std::string& input : inputs) {
    run(input);
    size_t step = 1 + input.size() / k_truncations_max;
    for (size_t size = 0; size < input.size(); size += step) {
      run(input.substr(0, size));
    }
    for (int i = 0; i < k_damaged_copies; i++) {
      run_damaged(input, chance);
    }
  }
  std::printf("%zu runs from %zu files\n", runs, inputs.size() - 1);
  return 0;
}
