// What the hub says about a repository. The names in its answers are somebody else's: those that could not be names in
// a folder are left out.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/status.h"
#include "models/http_request.h"

namespace headrace {

// Which hub is asked, and what it is told.
struct Hub {
  std::string endpoint;  // without a slash at the end
  HttpAccess access;
};
// Of HF_ENDPOINT, else https://huggingface.co, and HF_TOKEN. `agent`: what the program calls itself. Error:
// kInvalidArgument.
Result<Hub> HubOf(const Getenv& getenv, const std::string& agent);

struct HubRepository {
  std::string name;  // "USER/NAME"; IsRepositoryName
  uint64_t downloads = 0, likes = 0;
  bool gated = false;  // who wants its files must accept its conditions first
};
// Repositories with GGUF files that the hub finds for these words, at most kMostFound of them, those fetched most
// first. Errors: kPermission, kNotFound and kIo.
inline constexpr size_t kMostFound = 30;
Result<std::vector<HubRepository>> SearchHub(const Hub& hub, const std::string& words,
                                             const std::function<bool()>& go_on);

struct HubFile {
  std::string path;  // in the repository; IsSafePath
  uint64_t bytes = 0;
  std::string sha256;  // "" where the hub gives none
};

struct HubListing {
  std::string commit;           // 40 hexadecimal digits
  std::vector<HubFile> models;  // GGUF files, by path
};

// A relative path that stays in its folder: no "..", no empty, hidden or overlong part, no control character, no
// backslash.
bool IsSafePath(const std::string& path);

// The files of the newest version of "USER/NAME". Errors: kPermission, kNotFound and kIo, with what to do.
Result<HubListing> ListRepository(const std::string& endpoint, const std::string& repository, const HttpAccess& access,
                                  const std::function<bool()>& go_on);

// Where a file of a version is.
std::string HubFileUrl(const std::string& endpoint, const std::string& repository, const std::string& commit,
                       const std::string& path);

}  // namespace headrace
