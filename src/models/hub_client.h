// What the hub says about a repository. The names in its answers are somebody else's: those that could not be names in
// a folder are left out.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "models/http_request.h"

namespace headrace {

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
