// Where headrace keeps what it would otherwise measure or learn anew in each run.
#pragma once

#include <string>

namespace headrace {

// $XDG_CACHE_HOME/headrace, or ~/.cache/headrace; "" where neither XDG_CACHE_HOME nor HOME is set to an absolute
// path. Need not exist.
std::string CacheDirectory();

}  // namespace headrace
