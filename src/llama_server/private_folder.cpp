#include "llama_server/private_folder.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace headrace::serve {
namespace {

// A socket's path has at most 107 characters.
constexpr size_t kLongestFolder = 90;

}  // namespace

PrivateFolder::PrivateFolder() {
  const char* const parents[] = {std::getenv("XDG_RUNTIME_DIR"), std::getenv("TMPDIR"), "/tmp"};
  for (const char* parent : parents) {
    if (parent == nullptr || *parent == '\0') continue;
    std::string path = std::string(parent) + "/headrace-XXXXXX";
    // llama-server parts its --host at commas.
    if (path.size() > kLongestFolder || path.find(',') != std::string::npos || mkdtemp(path.data()) == nullptr)
      continue;
    path_ = path;
    return;
  }
}

PrivateFolder::~PrivateFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Status PrivateFolder::status() const {
  if (!path_.empty()) return {};
  return Status(Code::kIo, "cannot create a folder in $XDG_RUNTIME_DIR, $TMPDIR or /tmp; make one of them writable");
}

}  // namespace headrace::serve
