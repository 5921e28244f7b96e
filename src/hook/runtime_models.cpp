// Models from the reading of their header to their unmapping: which of them stream.
#include <sys/stat.h>

#include <exception>
#include <mutex>
#include <optional>

#include <fmt/format.h>

#include "base/log.h"
#include "base/size.h"
#include "hook/runtime.h"

namespace headrace {
namespace {

thread_local bool t_loading_streams = false;

}  // namespace

ModelRegistry::Verdict Runtime::Judge(const FileVersion& file, const std::string& path,
                                      std::optional<uint64_t> weight_bytes, uint64_t room) {
  const auto verdict = models_.Judge(file, path, weight_bytes, {room, config_.flash_mode == FlashMode::kOn});
  LogDebug(fmt::format("{}: {} of weights, {} of memory for them ({}): {}", path, FormatSize(verdict.weight_bytes),
                       FormatSize(room), Allowance().Describe(), verdict.streams ? "streams" : "fits, nothing to do"));
  return verdict;
}

std::optional<uint64_t> Runtime::BeforeModelHeader(void* caller) noexcept {
  t_loading_streams = false;
  if (!enabled()) return std::nullopt;
  try {
    const std::lock_guard making(making_mutex_);
    if (FindEngine(caller) == nullptr) return std::nullopt;
    return Allowance().Bytes();
  } catch (const std::exception& error) {
    LogWarning(error.what());
    return std::nullopt;
  }
}

void Runtime::OnModelHeader(const FileVersion& file, const std::string& path, std::optional<uint64_t> weight_bytes,
                            uint64_t room) noexcept {
  try {
    const std::lock_guard making(making_mutex_);
    t_loading_streams = Judge(file, path, weight_bytes, room).streams;
    if (!t_loading_streams || any_streams()) return;
    const std::lock_guard lock(mutex_);
    awaits_mapping_ = true;
    unmapped_path_ = path;
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

void Runtime::NoteUnmapped() noexcept {
  try {
    std::string message;
    bool fatal = false, said = false;
    {
      const std::lock_guard lock(mutex_);
      if (!awaits_mapping_.exchange(false)) return;
      message = fmt::format(
          "{} was read into memory instead of mapped (use_mmap off, --no-mmap, or a --load-mode other than mmap), so "
          "none of its weights stream; leave that option out",
          unmapped_path_);
      fatal = config_.flash_mode == FlashMode::kOn;
      said = fatal && !config_.snapshot_path.empty();
    }
    // Whoever started this process reads it there and says it.
    if (fatal) SetLastError(*snapshot_.writer(), message);
    if (!said) LogWarning(message);
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

bool Runtime::loading_streams() const { return enabled() && t_loading_streams; }

std::shared_ptr<const GgmlApi> Runtime::StreamingEngineOf(int fd, void* caller) noexcept {
  try {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return nullptr;
    const std::lock_guard making(making_mutex_);
    const FileVersion file = FileVersion::Of(info);
    const auto known = models_.Find(file);
    if (known && !known->streams) return nullptr;
    auto engine = FindEngine(caller);
    if (engine == nullptr || known) return engine;
    return Judge(file, PathOfDescriptor(fd), std::nullopt, Allowance().Bytes()).streams ? engine : nullptr;
  } catch (const std::exception& error) {
    LogWarning(error.what());
    return nullptr;
  }
}

// Tells others how many models stream, and the allowance what those that fit take.
void Runtime::CountModels() {
  const auto passive = models_.passive();
  if (allowance_ != nullptr) allowance_->SetPassive(passive.weight_bytes, passive.mapped_bytes);
  const size_t streaming = models_.streaming();
  snapshot_.writer()->models = static_cast<uint32_t>(streaming);
  any_streams_ = streaming > 0;
  has_mappings_ = !models_.empty();
}

void Runtime::OnMapped(const void* address, uint64_t bytes, int fd, uint64_t offset,
                       const std::shared_ptr<const GgmlApi>& engine) noexcept {
  try {
    const auto access = ConfigNow().reader == "buffered" ? SourceFile::Access::kBuffered : SourceFile::Access::kDirect;
    const auto file = models_.Mapped(address, bytes, fd, offset, access, ConfigNow().mirrors);
    const bool streams = file.ok() && *file != nullptr;
    if (!file.ok()) {
      Note(Status(file.status().code(),
                  file.status().message() + "; the kernel reads the model in its place, which is slower"));
    } else if (streams) {
      if (!(*file)->direct() && access == SourceFile::Access::kDirect) {
        LogWarning(fmt::format("{}: this file system has no O_DIRECT; reading through the page cache, which is slower",
                               (*file)->path()));
      }
      const std::lock_guard making(making_mutex_);
      if (config_.snapshot_path.empty()) snapshot_.Publish();
    }
    bool by_executor = false;
    std::shared_ptr<Executor> unused;
    {
      const std::lock_guard lock(mutex_);
      if (!file.ok() || streams) awaits_mapping_ = false;
      if (streams && engine != nullptr) {
        if (const auto origin = models_.mappings().Find(address, 1)) streaming_.emplace(origin->model, engine);
        unused = ChooseStreamingEngine();
        by_executor = streaming_engine_ == engine;
      }
      CountModels();
    }
    if (by_executor) {
      models_.mappings().TakeFromKernel(address, bytes);
    } else if (streams) {
      LogWarning(fmt::format(
          "another llama.cpp in this process streams already: {} is read through its mapping, which is slower",
          (*file)->path()));
    }
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

void Runtime::OnTensor(const ggml_tensor& tensor) noexcept {
  try {
    if (tensor.ne[2] > 1 && tensor.ne[3] == 1 && models_.mappings().Find(tensor.data, tensor.nb[3]))
      stacks_.Add(tensor);
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

void Runtime::OnUnmap(const void* address, uint64_t bytes) noexcept {
  try {
    if (!models_.Overlaps(address, bytes)) return;
    const bool streamed = models_.Unmapped(address, bytes);
    stacks_.Remove(address, bytes);
    std::shared_ptr<Executor> executor;
    {
      const std::lock_guard lock(mutex_);
      CountModels();
      executor = ChooseStreamingEngine();
      if (executor == nullptr) executor = executor_;
    }
    if (streamed && executor != nullptr) executor->Forget(address, bytes);
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

bool Runtime::Streams(const void* address, uint64_t bytes) const {
  return any_streams() && models_.mappings().Streams(address, bytes);
}

}  // namespace headrace
