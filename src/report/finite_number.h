// What CLI11's check() wants of an option's number.
#pragma once

#include <functional>
#include <string>

namespace headrace::cli {

// A number from `least` to `most`; nan, which CLI::Range lets through, is none.
std::function<std::string(const std::string&)> FiniteNumber(double least, double most);

}  // namespace headrace::cli
