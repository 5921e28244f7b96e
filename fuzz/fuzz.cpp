#include "fuzz.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace headrace::fuzz {
namespace {

struct Folder {
  Folder() {
    // In memory: a target writes its files anew for each input.
    const auto parent = std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
    std::string pattern = (parent / "headrace-fuzz-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    path = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string path;
};

}  // namespace

std::vector<std::string> Parts(std::string_view input) {
  constexpr std::string_view kCut = "\n----\n";
  std::vector<std::string> parts;
  while (true) {
    const size_t at = input.find(kCut);
    parts.emplace_back(input.substr(0, at));
    if (at == input.npos) return parts;
    input.remove_prefix(at + kCut.size());
  }
}

std::string FilePath(const std::string& name) {
  static const Folder folder;
  return folder.path + "/" + name;
}

std::string WriteFile(const std::string& name, std::string_view content) {
  const std::string path = FilePath(name);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
  return path;
}

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

void RequireOneLine(const std::string& message) {
  Require(!message.empty() && message.find('\n') == message.npos, "a message is no single line");
}

}  // namespace headrace::fuzz
