// What the system could not do with a batch's file.
#pragma once

#include <string>

#include "base/status.h"

namespace headrace::batch {

// Of errno: kNotFound, kPermission, kIo. `action`: what was tried, in the infinitive.
Status SystemError(const std::string& path, const char* action);

}  // namespace headrace::batch
