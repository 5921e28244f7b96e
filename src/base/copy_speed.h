// How fast copies to a device are: one line of text, from the library in a program of the engine
// (hook/copy_speed_seam.cpp) to the command. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace headrace {

// Set: the library measures the devices that the program lists, less than a second for each.
inline constexpr const char* kCopySpeedVariable = "HEADRACE_COPY_SPEED";

struct CopySpeed {
  std::string device;             // as the engine calls it: "CUDA0"
  double bytes_per_s = 0;         // from ordinary memory
  double staged_bytes_per_s = 0;  // from memory that the device itself gave out for it, as uploads go; 0: it has none

  // Of weights that stream.
  double upload_bytes_per_s() const { return staged_bytes_per_s > 0 ? staged_bytes_per_s : bytes_per_s; }
};

// With its line break.
std::string CopySpeedLine(const CopySpeed& speed);
// Of a program's output: what is no such line is passed over.
std::vector<CopySpeed> ParseCopySpeeds(std::string_view output);

}  // namespace headrace
