// Where people's settings for headrace lie.
#pragma once

#include <string>

namespace headrace {

// $XDG_CONFIG_HOME/headrace, or ~/.config/headrace; "" where neither XDG_CONFIG_HOME nor HOME is set. Need not exist.
std::string ConfigDirectory();

}  // namespace headrace
