#include "hook/model_registry.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "base/log.h"
#include "base/split_name.h"
#include "io/mirror_copy.h"

namespace headrace {
namespace {

std::optional<FileVersion> VersionAt(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return FileVersion::Of(info);
}

// The file and those parts of the same model that lie beside it under their own names.
std::vector<FileVersion> PartsOf(const FileVersion& file, const std::string& path) {
  std::vector<FileVersion> files = {file};
  const auto split = ParseSplitName(path);
  // A name that leads elsewhere says nothing about this file.
  if (!split || split->parts < 2 || VersionAt(path) != file) return files;
  for (uint32_t part = 1; part <= split->parts; ++part) {
    if (part == split->part) continue;
    const auto other = VersionAt(split->PathOf(part));
    if (other && std::find(files.begin(), files.end(), *other) == files.end()) files.push_back(*other);
  }
  return files;
}

std::string DescriptorPath(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

}  // namespace

FileVersion FileVersion::Of(const struct stat& info) {
  return {{info.st_dev, info.st_ino}, static_cast<uint64_t>(info.st_size), info.st_mtim};
}

std::string PathOfDescriptor(int fd) {
  char path[PATH_MAX];
  const ssize_t length = ::readlink(DescriptorPath(fd).c_str(), path, sizeof path);
  return length > 0 ? std::string(path, static_cast<size_t>(length)) : std::string();
}

uint64_t ModelRegistry::Model::weight_bytes() const {
  uint64_t bytes = 0;
  for (const Part& part : parts) bytes += part.weight_bytes;
  return bytes;
}

bool ModelRegistry::Model::Has(const FileVersion& file) const {
  return std::any_of(parts.begin(), parts.end(), [&](const Part& part) { return part.file == file; });
}

ModelRegistry::Model* ModelRegistry::FindModel(const FileVersion& file) {
  const auto found = std::find_if(models_.begin(), models_.end(), [&](const Model& model) { return model.Has(file); });
  return found == models_.end() ? nullptr : &*found;
}

bool ModelRegistry::IsMapped(const Model& model) const {
  return mappings_.BytesOf(model.number) > 0 || others_.BytesOf(model.number) > 0;
}

ModelRegistry::Verdict ModelRegistry::Judge(const FileVersion& file, const std::string& path,
                                            std::optional<uint64_t> weight_bytes, const Room& room) {
  const std::vector<FileVersion> files = PartsOf(file, path);
  const std::lock_guard lock(mutex_);
  if (const Model* known = FindModel(file); known != nullptr && IsMapped(*known))
    return {known->streams, known->weight_bytes()};
  Model model;
  model.number = next_number_++;
  for (const FileVersion& part : files) {
    Part& added = model.parts.emplace_back(Part{part, part.bytes, false});
    // The engine reads the headers of all parts, one after the other, before it maps the first.
    if (const Model* known = FindModel(part)) {
      for (const Part& before : known->parts) {
        if (before.file == part && before.exact) added = before;
      }
    }
    if (part == file && weight_bytes) added = {part, std::min(*weight_bytes, part.bytes), true};
  }
  // What was judged before and never mapped, and earlier versions of these files.
  models_.remove_if([&](const Model& other) {
    return !IsMapped(other) && std::any_of(other.parts.begin(), other.parts.end(), [&](const Part& part) {
      return std::any_of(files.begin(), files.end(),
                         [&](const FileVersion& now) { return now.identity == part.file.identity; });
    });
  });
  model.streams = room.stream_all || !mappings_.empty() || model.weight_bytes() > room.bytes;
  models_.push_back(std::move(model));
  return {models_.back().streams, models_.back().weight_bytes()};
}

std::optional<ModelRegistry::Verdict> ModelRegistry::Find(const FileVersion& file) const {
  const std::lock_guard lock(mutex_);
  for (const Model& model : models_) {
    if (model.Has(file)) return Verdict{model.streams, model.weight_bytes()};
  }
  return std::nullopt;
}

Result<std::shared_ptr<const SourceFile>> ModelRegistry::Mapped(const void* address, uint64_t bytes, int fd,
                                                                uint64_t offset, SourceFile::Access access,
                                                                std::span<const std::string> mirrors) {
  struct stat info {};
  if (::fstat(fd, &info) != 0)
    return Status(Code::kIo, fmt::format("cannot stat a mapped file: {}", std::strerror(errno)));
  uint32_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    Model* const model = FindModel(FileVersion::Of(info));
    if (model == nullptr) return std::shared_ptr<const SourceFile>();
    model->was_mapped = true;
    number = model->number;
    others_.Add(address, bytes, {nullptr, offset, number});
    if (!model->streams) return std::shared_ptr<const SourceFile>();
  }
  auto opened = SourceFile::Open(DescriptorPath(fd), access, PathOfDescriptor(fd));
  if (!opened.ok()) return opened.status();
  if (!mirrors.empty()) {
    std::vector<MirrorProblem> problems;
    opened->SetCopies(OpenMirrors(*opened, mirrors, access, problems));
    for (const MirrorProblem& problem : problems) LogWarning(problem.Line());
    for (const auto& copy : opened->copies()) {
      LogDebug(fmt::format("{} is read from {}, too", opened->path(), copy->file().path()));
    }
  }
  const auto file = std::make_shared<const SourceFile>(std::move(*opened));
  const std::lock_guard lock(mutex_);
  mappings_.Add(address, bytes, {file, offset, number});
  others_.Remove(address, bytes);
  return file;
}

bool ModelRegistry::Unmapped(const void* address, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const bool streamed = mappings_.Remove(address, bytes);
  if (!others_.Remove(address, bytes) && !streamed) return false;
  // One that is loaded again is judged anew.
  models_.remove_if([this](const Model& model) { return model.was_mapped && !IsMapped(model); });
  return streamed;
}

ModelRegistry::Passive ModelRegistry::passive() const {
  const std::lock_guard lock(mutex_);
  Passive passive;
  for (const Model& model : models_) {
    const uint64_t mapped = model.streams ? 0 : others_.BytesOf(model.number);
    passive.mapped_bytes += mapped;
    passive.weight_bytes += mapped > 0 ? model.weight_bytes() : 0;
  }
  return passive;
}

}  // namespace headrace
