// Durations for people. Pure.
#pragma once

#include <string>

namespace headrace::cli {

// "59 s", "3 min 20 s", "2 h 5 min", rounded to seconds; from 0 s to 99 h.
std::string TimeText(double seconds);

}  // namespace headrace::cli
