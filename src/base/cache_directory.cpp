#include "base/cache_directory.h"

#include <cstdlib>

namespace headrace {

std::string CacheDirectory() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache == '/') return std::string(cache) + "/headrace";
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home == '/') return std::string(home) + "/.cache/headrace";
  return "";
}

}  // namespace headrace
