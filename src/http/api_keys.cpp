#include "http/api_keys.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

#include "base/descriptor.h"
#include "base/log.h"
#include "base/size.h"

namespace headrace::serve {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr size_t kLongestFile = 1 * kMiB;

std::string_view Trim(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

bool FitsHeader(std::string_view key) {
  return std::all_of(key.begin(), key.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

std::vector<std::string> Parts(std::string_view text, char mark) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(mark), text.size());
    const std::string_view part = Trim(text.substr(0, end));
    if (!part.empty()) parts.emplace_back(part);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

// Also of a pipe, <(pass show key).
Result<std::string> ReadAll(const std::string& path, mode_t& mode) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const auto failed = [&] {
    const Code code = errno == ENOENT ? Code::kNotFound : errno == EACCES ? Code::kPermission : Code::kInvalidArgument;
    return Status(code, fmt::format("--api-key-file: cannot read {}: {}", path, std::strerror(errno)));
  };
  struct stat info {};
  if (!file.valid() || fstat(file.get(), &info) != 0) return failed();
  std::string text;
  char piece[4096];
  for (ssize_t count; (count = read(file.get(), piece, sizeof piece)) != 0;) {
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed();
    text.append(piece, static_cast<size_t>(count));
    if (text.size() > kLongestFile)
      return Status(Code::kInvalidArgument, fmt::format("--api-key-file: {} is too long for a file of keys", path));
  }
  mode = info.st_mode;
  return text;
}

}  // namespace

Result<std::vector<std::string>> SplitKeys(const std::vector<std::string>& given) {
  std::vector<std::string> keys;
  for (const std::string& text : given) {
    const auto parts = Parts(text, ',');
    if (parts.empty())
      return Status(Code::kInvalidArgument,
                    "--api-key is empty; write a key, or leave the option out for a server that asks for none");
    if (!FitsHeader(text)) return Status(Code::kInvalidArgument, "--api-key has a character that no request can carry");
    keys.insert(keys.end(), parts.begin(), parts.end());
  }
  return keys;
}

Result<std::vector<std::string>> ReadKeyFile(const std::string& path) {
  mode_t mode = 0;
  const auto text = ReadAll(path, mode);
  if (!text.ok()) return text.status();
  auto keys = Parts(*text, '\n');
  std::erase_if(keys, [](const std::string& line) { return line.starts_with('#'); });
  if (keys.empty())
    return Status(Code::kInvalidArgument, fmt::format("--api-key-file: there is no key in {}; write one a line", path));
  if (!std::all_of(keys.begin(), keys.end(), FitsHeader)) {
    return Status(Code::kInvalidArgument,
                  fmt::format("--api-key-file: a line of {} has a character that no request can carry", path));
  }
  if (S_ISREG(mode) && (mode & (S_IRWXG | S_IRWXO)) != 0) {
    LogWarning(
        fmt::format("{} can be read by others (mode {:03o}); chmod 600 keeps the keys yours", path, mode & 0777));
  }
  return keys;
}

}  // namespace headrace::serve
