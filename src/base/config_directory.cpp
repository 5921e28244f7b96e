#include "base/config_directory.h"

#include <cstdlib>

namespace headrace {

std::string ConfigDirectory() {
  const char* config = std::getenv("XDG_CONFIG_HOME");
  if (config != nullptr && *config != '\0') return std::string(config) + "/headrace";
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home != '\0') return std::string(home) + "/.config/headrace";
  return "";
}

}  // namespace headrace
