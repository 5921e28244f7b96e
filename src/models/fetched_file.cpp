#include "models/fetched_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string_view>

#include <fmt/format.h>

#include "base/descriptor.h"
#include "base/free_space.h"
#include "base/shown.h"
#include "base/size.h"
#include "models/sha256.h"

namespace headrace {
namespace {

constexpr uint64_t kSpareBytes = 16 * kMiB;  // for what else is written meanwhile

Status Failed(const std::string& path, const char* what) {
  return Status(Code::kIo, fmt::format("{}: cannot {}: {}", path, what, std::strerror(errno)));
}

uint64_t NumberIn(const std::string& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : 0;
}

// "abc" of "\"abc\"" and "W/\"abc\"".
std::string Bare(std::string tag) {
  if (tag.starts_with("W/")) tag.erase(0, 2);
  if (tag.size() >= 2 && tag.starts_with('"') && tag.ends_with('"')) tag = tag.substr(1, tag.size() - 2);
  return tag;
}

// To the disk, with its name.
Status Sync(const std::string& path, int flags) {
  const Descriptor file(open(path.c_str(), flags | O_CLOEXEC));
  return file.valid() && fsync(file.get()) == 0 ? Status() : Failed(path, "write");
}

// A server may answer with a page, to log in for instance, and say that all is well.
Status CheckBeginning(const std::string& path, const std::string& url) {
  constexpr std::string_view kMark = "GGUF";
  char bytes[16];
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const ssize_t count = file.valid() ? read(file.get(), bytes, sizeof bytes) : -1;
  if (count < 0) return Failed(path, "read");
  const std::string_view beginning(bytes, static_cast<size_t>(count));
  if (beginning.starts_with(kMark)) return {};
  return Status(Code::kUnsupported, fmt::format("{}: what came is no GGUF file, it begins with '{}', and was deleted; "
                                                "open the address in a browser to see what the server wants",
                                                url, Shown(beginning)));
}

}  // namespace

bool FetchedFile::is_there() const {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) && std::filesystem::file_size(path, error) == bytes && !error;
}

DownloadFile FetchedFile::Download() const {
  DownloadFile file;
  file.url = url;
  file.bytes = bytes;
  file.hashed = !sha256.empty();
  file.tag = file.hashed ? sha256 : tag;
  file.part = path + ".headrace-part";
  file.ranges = ranges;
  return file;
}

Result<FetchedFile> ProbeFile(const std::string& url, const HttpAccess& access, const std::function<bool()>& go_on) {
  FetchedFile file;
  file.url = url;
  HttpWish wish{url};
  wish.head = true;
  auto request = std::make_unique<HttpRequest>(std::move(wish), access);
  HEADRACE_RETURN_IF_ERROR(request->Perform(go_on));
  std::string length = request->Header("content-length");
  if (request->code() == 403 || request->code() == 405 ||
      request->code() == 501) {  // an address may be signed for GET alone
    HttpWish first{url};
    first.range = HttpRange{0, 1};
    first.on_body = [&](std::string_view) { return request->code() == 206; };
    request = std::make_unique<HttpRequest>(std::move(first), access);
    const Status asked = request->Perform(go_on);
    if (!asked.ok() && request->code() == 0) return asked;
    const std::string range = request->Header("content-range");
    length = request->code() == 206 ? range.substr(range.rfind('/') + 1) : request->Header("content-length");
    if (request->code() == 200) file.ranges = false;
  }
  if (request->code() != 200 && request->code() != 206) return RefusalStatus(*request, url);
  // What the hub says of a file that lies elsewhere.
  const std::string linked_length = request->FirstHeader("x-linked-size"),
                    linked_tag = Bare(request->FirstHeader("x-linked-etag"));
  file.bytes = NumberIn(linked_length.empty() ? length : linked_length);
  if (file.bytes == 0)
    return Status(Code::kUnsupported, fmt::format("{}: the server does not say how long it is", url));
  file.tag = request->Header("etag");
  if (request->Header("accept-ranges") == "none") file.ranges = false;
  if (OriginOf(url) == access.origin && IsSha256(linked_tag)) file.sha256 = linked_tag;
  return file;
}

Status Fetch(const FetchedFile& file, const HttpAccess& access,
             const std::function<bool(bool, uint64_t)>& on_progress) {
  const DownloadFile download = file.Download();
  HEADRACE_RETURN_IF_ERROR(DownloadRanges(download, access, [&](uint64_t bytes) { return on_progress(false, bytes); }));
  const auto remove = [&] {
    unlink(download.part.c_str());
    unlink(StatePath(download).c_str());
  };
  if (Status begins = CheckBeginning(download.part, file.url); !begins.ok()) {
    if (begins.code() == Code::kUnsupported) remove();
    return begins;
  }
  if (!file.sha256.empty()) {
    const auto hash = Sha256OfFile(download.part, [&](uint64_t bytes) { return on_progress(true, bytes); });
    if (!hash.ok()) return hash.status();
    if (*hash != file.sha256) {
      remove();
      return Status(
          Code::kIo,
          fmt::format(
              "{}: the downloaded file has the SHA-256 {} instead of {} and was deleted; run the same command again",
              file.url, *hash, file.sha256));
    }
  }
  HEADRACE_RETURN_IF_ERROR(Sync(download.part, O_RDONLY));
  if (rename(download.part.c_str(), file.path.c_str()) != 0) return Failed(file.path, "create");
  unlink(StatePath(download).c_str());
  return Sync(std::filesystem::path(file.path).parent_path().string(), O_RDONLY | O_DIRECTORY);
}

Status CheckRoom(const std::string& folder, uint64_t bytes) {
  const auto room = FreeSpace(folder);
  if (!room) return Failed(folder, "look at");
  const uint64_t needed = bytes == 0 ? 0 : bytes + kSpareBytes;
  if (*room >= needed) return {};
  return Status(Code::kOutOfBudget, fmt::format("{} has {} free, but {} are needed; free some space, or set HF_HOME "
                                                "(for a URL LLAMA_CACHE) to a folder on another disk",
                                                folder, FormatSize(*room), FormatSize(needed)));
}

}  // namespace headrace
