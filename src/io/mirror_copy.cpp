#include "io/mirror_copy.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "base/size.h"

namespace headrace {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPartialMagic = "headrace partial copy 1\n";
constexpr uint64_t kSamples = 32;
constexpr uint64_t kSampleBytes = 4 * kReadAlignment;
constexpr uint64_t kBeginningSamples = 16;

struct alignas(kReadAlignment) Sample {
  char bytes[kSampleBytes];
};

Status ReadSample(const SourceFile& file, uint64_t offset, Sample& sample, uint64_t& got) {
  ssize_t result = 0;
  do {
    result = ::pread(file.fd(), sample.bytes, kSampleBytes, static_cast<off_t>(offset));
  } while (result < 0 && errno == EINTR);
  if (result < 0) return Status(Code::kIo, fmt::format("{}: cannot read: {}", file.path(), std::strerror(errno)));
  got = static_cast<uint64_t>(result);
  return {};
}

// Of bytes that the copy holds.
Status CompareSample(const SourceFile& original, const MirrorCopy& copy, uint64_t offset) {
  Sample ours, theirs;
  uint64_t got_ours = 0, got_theirs = 0;
  HEADRACE_RETURN_IF_ERROR(ReadSample(original, offset, ours, got_ours));
  HEADRACE_RETURN_IF_ERROR(ReadSample(copy.file(), copy.Position(offset), theirs, got_theirs));
  const uint64_t wanted = std::min(kSampleBytes, original.size() - offset);
  if (got_ours >= wanted && got_theirs >= wanted && std::memcmp(ours.bytes, theirs.bytes, wanted) == 0) return {};
  return Status(Code::kCorrupt,
                fmt::format("{} differs from {} near byte {}", copy.file().path(), original.path(), offset));
}

Status CompareSamples(const SourceFile& original, const MirrorCopy& copy) {
  std::vector<uint64_t> offsets;
  for (uint64_t i = 0; i < kBeginningSamples; ++i) offsets.push_back(i * kSampleBytes);
  for (uint64_t i = 1; i <= kSamples; ++i) {
    offsets.push_back(
        AlignDown((original.size() - std::min(original.size(), kSampleBytes)) / kSamples * i, kSampleBytes));
  }
  if (original.size() > 0) offsets.push_back(AlignDown(original.size() - 1, kReadAlignment));
  for (uint64_t offset : offsets) {
    if (!copy.stripes().Holds(offset)) offset = copy.stripes().RunEnd(offset);
    if (offset >= original.size()) continue;
    HEADRACE_RETURN_IF_ERROR(CompareSample(original, copy, offset));
  }
  return {};
}

std::string BaseName(const std::string& path) { return fs::path(path).filename().string(); }

bool IsNamedLike(const std::string& path, const SourceFile& original) {
  const std::string name = BaseName(original.path());
  return BaseName(path) == name || BaseName(path) == name + PartialHeader::kSuffix;
}

// What may be the copy in a folder: the file of that name, else those of that size, for the caches of model hubs name
// files by their hashes.
std::vector<std::string> FindIn(const std::string& folder, const SourceFile& original) {
  std::error_code error;
  std::vector<std::string> same_size;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (!entry.is_regular_file(error)) continue;
    if (IsNamedLike(entry.path(), original)) return {entry.path().string()};
    if (entry.file_size(error) == original.size() && !error) same_size.push_back(entry.path().string());
  }
  return same_size;
}

bool HoldsUnfinished(const std::string& folder, const std::string& name) {
  std::error_code error;
  return fs::exists(fs::path(folder) / (name + kUnfinishedCopy), error) ||
         fs::exists(fs::path(folder) / (name + PartialHeader::kSuffix + kUnfinishedCopy), error);
}

}  // namespace

std::string PartialHeader::ToPage() const {
  std::string page =
      fmt::format("{}file_bytes {}\nfingerprint {}\nshare {}\n", kPartialMagic, file_bytes, fingerprint, share);
  page.resize(kReadAlignment, '\0');
  return page;
}

Result<PartialHeader> PartialHeader::Parse(const std::string& page) {
  const auto corrupt = [] { return Status(Code::kCorrupt, "no partial copy of headrace, or a damaged one"); };
  std::string_view rest = page;
  if (!rest.starts_with(kPartialMagic)) return corrupt();
  rest.remove_prefix(kPartialMagic.size());
  PartialHeader header;
  for (const auto& [key, value] :
       {std::pair{"file_bytes ", &header.file_bytes}, std::pair{"fingerprint ", &header.fingerprint},
        std::pair{"share ", &header.share}}) {
    if (!rest.starts_with(key)) return corrupt();
    rest.remove_prefix(std::strlen(key));
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), *value);
    if (error != std::errc() || end == rest.data() + rest.size() || *end != '\n') return corrupt();
    rest.remove_prefix(static_cast<size_t>(end - rest.data()) + 1);
  }
  if (header.share == 0 || header.share > Stripes::kWhole) return corrupt();
  return header;
}

Result<std::shared_ptr<const MirrorCopy>> MirrorCopy::Open(const SourceFile& original, const std::string& path,
                                                           SourceFile::Access access) {
  auto opened = SourceFile::Open(path, access);
  if (!opened.ok()) return opened.status();
  if (opened->identity() == original.identity()) {
    return Status(Code::kInvalidArgument, fmt::format("{} is the model itself, not a copy of it", path));
  }
  // NOLINTNEXTLINE: the constructor is private
  std::shared_ptr<MirrorCopy> copy(new MirrorCopy(std::move(*opened)));
  if (path.ends_with(PartialHeader::kSuffix)) {
    auto page = std::make_unique<Sample>();
    uint64_t got = 0;
    HEADRACE_RETURN_IF_ERROR(ReadSample(copy->file(), 0, *page, got));
    const auto header = PartialHeader::Parse(std::string(page->bytes, std::min(got, kReadAlignment)));
    if (!header.ok()) return Status(Code::kCorrupt, fmt::format("{}: {}", path, header.status().message()));
    const auto fingerprint = original.Fingerprint();
    if (!fingerprint.ok()) return fingerprint.status();
    if (header->file_bytes != original.size() || header->fingerprint != *fingerprint) {
      return Status(Code::kCorrupt, fmt::format("{} is a copy of another file than {}", path, original.path()));
    }
    copy->stripes_ = Stripes(header->file_bytes, header->share);
    copy->data_offset_ = kReadAlignment;
  }
  const uint64_t expected = copy->stripes_.whole() && copy->data_offset_ == 0
                                ? original.size()
                                : copy->data_offset_ + Stripes(original.size(), copy->stripes_.share()).bytes();
  if (copy->file().size() != expected) {
    return Status(Code::kCorrupt, fmt::format("{} has {} bytes where a copy of {} has {}", path, copy->file().size(),
                                              original.path(), expected));
  }
  HEADRACE_RETURN_IF_ERROR(CompareSamples(original, *copy));
  return std::shared_ptr<const MirrorCopy>(std::move(copy));
}

std::string MirrorProblem::Line() const { return fmt::format("mirror {}: not used: {}", mirror, why.message()); }

std::vector<std::shared_ptr<const MirrorCopy>> OpenMirrors(const SourceFile& original,
                                                           std::span<const std::string> mirrors,
                                                           SourceFile::Access access,
                                                           std::vector<MirrorProblem>& problems) {
  std::vector<std::shared_ptr<const MirrorCopy>> copies;
  const std::string name = BaseName(original.path());
  for (const std::string& mirror : mirrors) {
    std::error_code error;
    const bool folder = fs::is_directory(mirror, error);
    std::vector<std::string> candidates = folder ? FindIn(mirror, original) : std::vector{mirror};
    if (!folder && !IsNamedLike(mirror, original) && fs::file_size(mirror, error) != original.size() && !error) {
      continue;  // another model's
    }
    const bool begun = folder && HoldsUnfinished(mirror, name);
    Result<std::shared_ptr<const MirrorCopy>> copy = Status(
        Code::kNotFound, begun ? fmt::format("its copy of {} is not finished; `headrace mirror` goes on with it", name)
                               : fmt::format("it holds no copy of {}; `headrace mirror` makes one", name));
    for (const std::string& path : candidates) {
      auto opened = MirrorCopy::Open(original, path, access);
      if (opened.ok() || !folder || IsNamedLike(path, original)) copy = std::move(opened);
      if (copy.ok()) break;
    }
    if (!copy.ok()) {
      problems.push_back({mirror, copy.status()});
      continue;
    }
    const auto same_drive = [&](const SourceFile& other) {
      return other.identity().device == (*copy)->file().identity().device;
    };
    if (same_drive(original) ||
        std::any_of(copies.begin(), copies.end(), [&](const auto& c) { return same_drive(c->file()); })) {
      problems.push_back(
          {mirror, Status(Code::kInvalidArgument, "it lies on the same drive as another copy of " + name)});
      continue;
    }
    copies.push_back(std::move(*copy));
  }
  return copies;
}

}  // namespace headrace
