// Server-sent events out of a stream that is cut anywhere. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace headrace::serve {

class EventReader {
 public:
  // The data of each event that is complete now, several lines of it joined by line breaks. Comments, other fields and
  // events without data are left out.
  std::vector<std::string> Feed(std::string_view piece);

 private:
  void TakeLine(std::string_view line, std::vector<std::string>& events);

  std::string line_;  // its beginning
  std::string data_;
  bool has_data_ = false;
};

}  // namespace headrace::serve
