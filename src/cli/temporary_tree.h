// The folder for one test, by the name that tests of the command have for it.
#pragma once

#include "base/temporary_tree.h"

namespace headrace::cli {

using headrace::TemporaryTree;

}  // namespace headrace::cli
