#include "models/sha256.h"

#include <fcntl.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "base/descriptor.h"

namespace headrace {
namespace {

constexpr size_t kPiece = 1 << 20;
constexpr size_t kDigits = 64;

}  // namespace

Result<std::string> Sha256OfFile(const std::string& path, const std::function<bool(uint64_t)>& on_progress) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid())
    return Status(errno == ENOENT ? Code::kNotFound : Code::kIo,
                  fmt::format("{}: cannot open: {}", path, std::strerror(errno)));
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  bool works = context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
  std::vector<char> piece(kPiece);
  for (uint64_t done = 0; works;) {
    const ssize_t got = read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Status(Code::kIo, fmt::format("{}: cannot read: {}", path, std::strerror(errno)));
    if (got == 0) break;
    works = EVP_DigestUpdate(context.get(), piece.data(), static_cast<size_t>(got)) == 1;
    done += static_cast<uint64_t>(got);
    if (!on_progress(done)) return Status(Code::kCancelled, "stopped");
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  works = works && EVP_DigestFinal_ex(context.get(), digest, &length) == 1;
  if (!works) return Status(Code::kInternal, "OpenSSL cannot compute SHA-256 here");
  std::string text;
  for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

bool IsSha256(const std::string& text) {
  return text.size() == kDigits &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace headrace
