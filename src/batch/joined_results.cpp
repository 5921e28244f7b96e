#include "batch/joined_results.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <unordered_map>

#include <fmt/format.h>

#include "base/descriptor.h"
#include "base/standard_streams.h"
#include "batch/file_error.h"
#include "batch/line_reader.h"
#include "batch/result_line.h"

namespace headrace::batch {
namespace {

constexpr size_t kNamedMissing = 3;

// Where a result lies.
struct Found {
  size_t file = 0;
  uint64_t offset = 0, bytes = 0;
  bool failed = false;
};

// By custom_id, or by id where a line has no custom_id.
using FoundByKey = std::unordered_map<std::string, Found>;

std::string KeyOf(const std::string& custom_id, const std::string& id) {
  return custom_id.empty() ? "i" + id : "c" + custom_id;
}

Status ReadResults(const std::string& path, int fd, size_t file, const RequestFile& requests, FoundByKey& found,
                   JoinCounts& counts) {
  LineReader reader(fd, UINT64_MAX);
  while (true) {
    const auto next = reader.Next();
    if (!next.ok()) return Status(next.status().code(), path + " " + next.status().message());
    if (!next->has_value()) return {};
    const Line& line = **next;
    if (!line.complete || line.text.find('\0') != line.text.npos) {
      ++counts.damaged;
      continue;
    }
    const auto key = ParseResult(line.text);
    if (!key.ok()) {
      return Status(Code::kInvalidArgument, fmt::format("line {} of {} {}", line.number, path, key.status().message()));
    }
    if (!key->custom_id.empty() && !requests.Has(key->custom_id)) {
      return Status(Code::kInvalidArgument,
                    fmt::format("{} has results of other requests: no request has the custom_id \"{}\" of line {}",
                                path, key->custom_id, line.number));
    }
    const Found here{file, line.offset, line.text.size(), key->failed};
    const auto [at, is_new] = found.emplace(KeyOf(key->custom_id, key->id), here);
    if (is_new) continue;
    ++counts.twice;
    if (at->second.failed && !here.failed) at->second = here;
  }
}

// Error: kNotFound with the first of those that have none.
Status CheckComplete(const RequestFile& requests, const FoundByKey& found) {
  uint64_t missing = 0;
  std::string named;
  for (const RequestEntry& entry : requests.entries()) {
    if (found.contains(KeyOf(entry.custom_id, entry.id()))) continue;
    if (missing++ < kNamedMissing) named += fmt::format("{}line {}", named.empty() ? "" : ", ", entry.line);
  }
  if (missing == 0) return {};
  return Status(
      Code::kNotFound,
      fmt::format("{} of {} requests have no result in these files: {}{}; every shard must have come to its end",
                  missing, requests.entries().size(), named, missing > kNamedMissing ? ", ..." : ""));
}

Status WriteResults(const RequestFile& requests, const FoundByKey& found, const std::vector<Descriptor>& sources,
                    int target, const std::string& path, JoinCounts& counts) {
  std::string text;
  for (const RequestEntry& entry : requests.entries()) {
    const Found& result = found.at(KeyOf(entry.custom_id, entry.id()));
    text.resize(result.bytes);
    for (uint64_t done = 0; done < result.bytes;) {
      const ssize_t count = pread(sources[result.file].get(), text.data() + done, result.bytes - done,
                                  static_cast<off_t>(result.offset + done));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return Status(Code::kIo, "a file of results changed while it was read; try again");
      done += static_cast<uint64_t>(count);
    }
    text += '\n';
    if ((errno = WriteAll(target, text)) != 0) return SystemError(path, "write a result");
    ++counts.results;
    counts.failed += result.failed;
  }
  return {};
}

}  // namespace

Result<JoinCounts> JoinResults(const RequestFile& requests, const std::vector<std::string>& files,
                               const std::string& path, bool overwrite) {
  if (!overwrite && access(path.c_str(), F_OK) == 0) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{} exists already; name another file with -o, or --overwrite it", path));
  }
  JoinCounts counts;
  FoundByKey found;
  std::vector<Descriptor> sources;
  for (size_t i = 0; i < files.size(); ++i) {
    sources.emplace_back(open(files[i].c_str(), O_RDONLY | O_CLOEXEC));
    if (!sources.back().valid()) return SystemError(files[i], "read");
    HEADRACE_RETURN_IF_ERROR(ReadResults(files[i], sources.back().get(), i, requests, found, counts));
  }
  HEADRACE_RETURN_IF_ERROR(CheckComplete(requests, found));
  std::string temporary = path + ".XXXXXX";
  const Descriptor target(mkostemp(temporary.data(), O_CLOEXEC));
  if (!target.valid()) return SystemError(path, "create");
  Status written = WriteResults(requests, found, sources, target.get(), path, counts);
  if (written.ok() &&
      (fchmod(target.get(), 0644) != 0 || fsync(target.get()) != 0 || rename(temporary.c_str(), path.c_str()) != 0)) {
    written = SystemError(path, "put in place");
  }
  if (written.ok()) return counts;
  unlink(temporary.c_str());
  return written;
}

}  // namespace headrace::batch
