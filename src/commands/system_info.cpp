#include "commands/system_info.h"

#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace headrace::cli {
namespace {

std::optional<uint64_t> ParseNumber(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

}  // namespace

std::string ParseSelected(std::string_view text) {
  const size_t open = text.find('[');
  if (open == std::string_view::npos) return "";
  const size_t close = text.find(']', open);
  if (close == std::string_view::npos) return "";
  return std::string(text.substr(open + 1, close - open - 1));
}

std::optional<uint64_t> ReadAheadKib(const ReadText& read, unsigned device_major, unsigned device_minor) {
  // A disk has its own queue, a partition its disk's one folder up; file systems over several devices
  // (btrfs, overlay) have only the bdi entry.
  for (const char* pattern : {"/sys/dev/block/{}:{}/queue/read_ahead_kb", "/sys/dev/block/{}:{}/../queue/read_ahead_kb",
                              "/sys/class/bdi/{}:{}/read_ahead_kb"}) {
    if (const auto text = read(fmt::format(fmt::runtime(pattern), device_major, device_minor))) {
      if (const auto kib = ParseNumber(*text)) return kib;
    }
  }
  return std::nullopt;
}

std::string FileSystemName(uint64_t magic) {
  static constexpr std::pair<uint64_t, const char*> kNames[] = {
      {0xef53, "ext4"},      {0x58465342, "xfs"},      {0x9123683e, "btrfs"},    {0xf2f52010, "f2fs"},
      {0x01021994, "tmpfs"}, {0x858458f6, "ramfs"},    {0x6969, "nfs"},          {0xff534d42, "cifs"},
      {0xfe534d42, "smb2"},  {0x65735546, "fuse"},     {0x794c7630, "overlay"},  {0x2fc12fc1, "zfs"},
      {0x01021997, "9p"},    {0x5346544e, "ntfs"},     {0x7366746e, "ntfs3"},    {0x4d44, "fat"},
      {0x2011bab0, "exfat"}, {0xca451a4e, "bcachefs"}, {0x73717368, "squashfs"}, {0xe0f5e1e2, "erofs"},
  };
  for (const auto& [type, name] : kNames) {
    if (type == magic) return name;
  }
  return fmt::format("type 0x{:x}", magic);
}

}  // namespace headrace::cli
