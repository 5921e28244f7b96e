// A moment as RFC 3339 writes it: "2026-01-31T08:43:37.123Z".
#pragma once

#include <chrono>
#include <string>

namespace headrace {

std::string TimeStamp(std::chrono::system_clock::time_point time);

}  // namespace headrace
