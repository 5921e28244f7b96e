#include "commands/doctor_test_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include <fmt/format.h>

#include "base/size.h"

namespace headrace::cli {

Result<DiskTestFile> DiskTestFile::Create(const std::string& folder, uint64_t bytes,
                                          const std::function<void(double)>& progress) {
  std::string name = folder + "/.headrace-disk-test-XXXXXX";
  Descriptor fd(mkostemp(name.data(), O_CLOEXEC));
  const auto failed = [&](const char* what) {
    const Code code = errno == EACCES || errno == EROFS ? Code::kPermission : Code::kIo;
    return Status(code, fmt::format("cannot {} a test file in {}: {}", what, folder, std::strerror(errno)));
  };
  if (!fd.valid()) return failed("create");
  unlink(name.c_str());

  std::vector<uint64_t> piece(4 * kMiB / sizeof(uint64_t));
  std::mt19937_64 random(1);
  for (uint64_t& word : piece) word = random();
  const uint64_t piece_bytes = piece.size() * sizeof(uint64_t);
  for (uint64_t written = 0; written < bytes;) {
    piece[0] = written;  // no two pieces alike, for file systems that share equal blocks
    const ssize_t count = write(fd.get(), piece.data(), std::min(piece_bytes, bytes - written));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return failed("write");
    written += static_cast<uint64_t>(count);
    if (progress) progress(static_cast<double>(written) / static_cast<double>(bytes));
  }
  if (fsync(fd.get()) != 0) return failed("write");
  posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  return DiskTestFile(std::move(fd));
}

std::string DiskTestFile::path() const { return fmt::format("/proc/self/fd/{}", fd_.get()); }

}  // namespace headrace::cli
