#include "model_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "base/descriptor.h"
#include "base/size.h"
#include "random_weights.h"

namespace headrace::bench {
namespace {

constexpr uint64_t kChunkBytes = 16 * kMiB;
constexpr uint64_t kSpareBytes = 256 * kMiB;  // of free disk that the generator leaves

Status Failed(const char* what, const std::string& path, int error) {
  const Code code = error == ENOENT                                       ? Code::kNotFound
                    : error == EACCES || error == EROFS || error == EPERM ? Code::kPermission
                                                                          : Code::kIo;
  const char* hint = error == ENOENT  ? "; create the folder first"
                     : error == EFBIG ? "; the file system cannot hold a file of this size"
                                      : "";
  return Status(code, fmt::format("cannot {} {}: {}{}", what, path, std::strerror(error), hint));
}

// Bytes [begin, begin + length) of the finished file.
void Render(const GgufWriter& model, const std::string& header, uint64_t seed, uint64_t begin, uint64_t length,
            uint8_t* out) {
  std::memset(out, 0, length);
  const uint64_t end = begin + length;
  if (begin < header.size()) std::memcpy(out, header.data() + begin, std::min<uint64_t>(length, header.size() - begin));
  const auto& tensors = model.tensors();
  const auto ends_behind = [&](uint64_t position, const TensorPlace& t) {
    return position < header.size() + t.offset + t.bytes;
  };
  for (auto it = std::upper_bound(tensors.begin(), tensors.end(), begin, ends_behind); it != tensors.end(); ++it) {
    const uint64_t tensor_begin = header.size() + it->offset;
    if (tensor_begin >= end) break;
    const uint64_t from = std::max(begin, tensor_begin), to = std::min(end, tensor_begin + it->bytes);
    const uint64_t tensor_seed =
        seed * 0x100000001B3ull + static_cast<uint64_t>(it - tensors.begin()) * 0x9E3779B97F4A7C15ull * 31;
    uint8_t* const at = out + (from - begin);
    FillWeights(it->type, it->shape[0], tensor_seed, from - tensor_begin, to - from, at, it->filling);
  }
}

Status WriteAll(int fd, const std::string& path, const uint8_t* data, uint64_t length, uint64_t offset) {
  while (length > 0) {
    const ssize_t n = ::pwrite(fd, data, length, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Failed("write", path, n < 0 ? errno : ENOSPC);
    data += n;
    offset += static_cast<uint64_t>(n);
    length -= static_cast<uint64_t>(n);
  }
  return {};
}

// Workers take chunks of the file in turn; the caller reports progress and joins them.
class ChunkWriters {
 public:
  ChunkWriters(int fd, const std::string& path, const GgufWriter& model, const std::string& header, uint64_t bytes,
               const WriteOptions& options)
      : fd_(fd), path_(path), model_(model), header_(header), bytes_(bytes), options_(options) {}

  Status Run() {
    const unsigned count = options_.threads > 0 ? options_.threads : std::max(1u, std::thread::hardware_concurrency());
    running_ = count;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < count; ++i) threads.emplace_back([this] { Work(); });
    std::unique_lock lock(mutex_);
    while (running_ > 0) {
      finished_.wait_for(lock, std::chrono::milliseconds(200));
      if (options_.progress) options_.progress(std::min(done_, bytes_), bytes_);
    }
    lock.unlock();
    for (std::thread& thread : threads) thread.join();
    return status_;
  }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };

  void Work() {
    const std::unique_ptr<uint8_t, Free> buffer(static_cast<uint8_t*>(std::aligned_alloc(kReadAlignment, kChunkBytes)));
    Status status = buffer ? Status() : Status(Code::kOutOfBudget, "no memory for a write buffer");
    while (status.ok()) {
      const uint64_t begin = next_.fetch_add(kChunkBytes);
      if (begin >= bytes_) break;
      if (options_.cancel != nullptr && options_.cancel->load()) {
        status = Status(Code::kCancelled, "stopped; nothing was left on disk");
        break;
      }
      // O_DIRECT writes whole pages; the file is cut to its size afterwards.
      const uint64_t length = std::min(kChunkBytes, AlignUp(bytes_ - begin, kReadAlignment));
      Render(model_, header_, options_.seed, begin, length, buffer.get());
      status = WriteAll(fd_, path_, buffer.get(), length, begin);
      const std::lock_guard lock(mutex_);
      done_ += length;
      if (!status_.ok()) break;
    }
    const std::lock_guard lock(mutex_);
    if (status_.ok()) status_ = std::move(status);
    --running_;
    finished_.notify_one();
  }

  const int fd_;
  const std::string& path_;
  const GgufWriter& model_;
  const std::string& header_;
  const uint64_t bytes_;
  const WriteOptions& options_;
  std::atomic<uint64_t> next_{0};
  std::mutex mutex_;  // guards the rest
  std::condition_variable finished_;
  Status status_;
  uint64_t done_ = 0;
  unsigned running_ = 0;
};

Status WriteFile(const std::string& path, const GgufWriter& model, const std::string& header, uint64_t bytes,
                 const WriteOptions& options) {
  const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
  Descriptor fd(::open(path.c_str(), flags | (options.sparse ? 0 : O_DIRECT), 0644));
  if (!fd.valid() && errno == EINVAL) fd = Descriptor(::open(path.c_str(), flags, 0644));  // no O_DIRECT here
  if (!fd.valid()) return Failed("create", path, errno);
  if (options.sparse) {
    const auto* data = reinterpret_cast<const uint8_t*>(header.data());
    HEADRACE_RETURN_IF_ERROR(WriteAll(fd.get(), path, data, header.size(), 0));
  } else {
    if (const int error = ::posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes));
        error != 0 && error != EOPNOTSUPP && error != EINVAL) {
      return Failed("reserve space for", path, error);
    }
    HEADRACE_RETURN_IF_ERROR(ChunkWriters(fd.get(), path, model, header, bytes, options).Run());
  }
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return Failed("size", path, errno);
  if (::fdatasync(fd.get()) != 0) return Failed("sync", path, errno);
  return {};
}

}  // namespace

Result<uint64_t> WriteModel(const std::string& path, const GgufWriter& model, const WriteOptions& options) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    return Status(Code::kInvalidArgument, path + " is a directory: name the file to write");
  }
  if (fs::exists(path, ignored) && !options.replace) {
    return Status(Code::kInvalidArgument, path + " exists already: --force replaces it");
  }
  const std::string header = model.Header();
  const uint64_t bytes = header.size() + model.DataBytes();
  const fs::path parent = fs::path(path).parent_path();
  const std::string folder = parent.empty() ? "." : parent.string();
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) != 0) return Failed("write into", folder, errno);
  const uint64_t needed = (options.sparse ? header.size() : bytes) + kSpareBytes;
  if (const uint64_t free_bytes = uint64_t{disk.f_bavail} * disk.f_frsize; free_bytes < needed) {
    return Status(Code::kOutOfBudget,
                  fmt::format("{} needs {} of free disk and {} has {}: free some, or choose another folder", path,
                              FormatSize(needed), folder, FormatSize(free_bytes)));
  }
  const std::string temporary = fmt::format("{}.partial-{}", path, ::getpid());
  Status status = WriteFile(temporary, model, header, bytes, options);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) status = Failed("rename to", path, errno);
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  return bytes;
}

}  // namespace headrace::bench
