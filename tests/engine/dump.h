// Dumps: what a child program computed, as labelled runs of floats, to be compared byte for byte.
//
// A dump is a sequence of records: char label[64] (zero-padded), uint64_t count, float values[count], in the
// machine's byte order. Header-only: the child programs are built against the engine's own libc.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace headrace::testing {

inline constexpr size_t kLabelBytes = 64;

class DumpWriter {
 public:
  // Ends the program with a line when the file cannot be written: a dump that is short must not compare.
  explicit DumpWriter(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "wb")) {
    Check(file_ != nullptr);
  }
  DumpWriter(const DumpWriter&) = delete;
  DumpWriter& operator=(const DumpWriter&) = delete;
  ~DumpWriter() { Check(std::fclose(file_) == 0); }

  void Write(const std::string& label, const float* values, uint64_t count) {
    char text[kLabelBytes] = {};
    std::strncpy(text, label.c_str(), kLabelBytes - 1);
    Check(std::fwrite(text, kLabelBytes, 1, file_) == 1);
    Check(std::fwrite(&count, sizeof count, 1, file_) == 1);
    Check(std::fwrite(values, sizeof(float), count, file_) == count);
  }

 private:
  void Check(bool ok) const {
    if (ok) return;
    std::perror(path_.c_str());
    std::_Exit(3);
  }

  std::string path_;
  std::FILE* file_;
};

inline std::string ReadWholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// "" when both dumps hold the same bytes and at least one float; else the first difference in words.
inline std::string DumpDifference(const std::string& expected, const std::string& actual) {
  std::ostringstream text;
  size_t at = 0;
  uint64_t floats = 0;
  while (at < expected.size() || at < actual.size()) {
    constexpr size_t kHead = kLabelBytes + sizeof(uint64_t);
    if (at + kHead > expected.size() || at + kHead > actual.size()) {
      text << "a dump ends early: " << expected.size() << " and " << actual.size() << " bytes";
      return text.str();
    }
    const std::string label = expected.c_str() + at;
    uint64_t count = 0;
    std::memcpy(&count, expected.data() + at + kLabelBytes, sizeof count);
    if (std::memcmp(expected.data() + at, actual.data() + at, kHead) != 0) {
      text << "record '" << label << "' of " << count << " floats became '" << actual.c_str() + at << "'";
      return text.str();
    }
    at += kHead;
    const size_t bytes = count * sizeof(float);
    if (at + bytes > expected.size() || at + bytes > actual.size()) {
      text << "record '" << label << "' is cut: " << expected.size() << " and " << actual.size() << " bytes";
      return text.str();
    }
    if (std::memcmp(expected.data() + at, actual.data() + at, bytes) != 0) {
      uint64_t first = count, different = 0;
      for (uint64_t i = 0; i < count; ++i) {
        if (std::memcmp(expected.data() + at + 4 * i, actual.data() + at + 4 * i, 4) == 0) continue;
        if (different++ == 0) first = i;
      }
      float a = 0, b = 0;
      std::memcpy(&a, expected.data() + at + 4 * first, 4);
      std::memcpy(&b, actual.data() + at + 4 * first, 4);
      text << "record '" << label << "': " << different << " of " << count << " floats differ, the first at " << first
           << ": " << a << " became " << b;
      return text.str();
    }
    at += bytes;
    floats += count;
  }
  return floats > 0 ? "" : "the dumps are empty";
}

// "" when every record of actual equals the record of expected with the same label; else which does not.
// For runs of which parts failed.
inline std::string DumpNotWithin(const std::string& expected, const std::string& actual) {
  constexpr size_t kHead = kLabelBytes + sizeof(uint64_t);
  const auto size_at = [](const std::string& dump, size_t at) {
    uint64_t count = 0;
    if (at + kHead <= dump.size()) std::memcpy(&count, dump.data() + at + kLabelBytes, sizeof count);
    return kHead + count * sizeof(float);
  };
  for (size_t at = 0; at < actual.size(); at += size_at(actual, at)) {
    const std::string record = actual.substr(at, size_at(actual, at));
    const std::string label = record.c_str();
    bool found = false;
    for (size_t e = 0; e < expected.size() && !found; e += size_at(expected, e)) {
      found = expected.compare(e, record.size(), record) == 0;
    }
    if (!found) return "record '" + label + "' of " + std::to_string(record.size()) + " bytes is not stock's";
  }
  return "";
}

}  // namespace headrace::testing
