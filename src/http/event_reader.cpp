#include "http/event_reader.h"

#include <utility>

namespace headrace::serve {

void EventReader::TakeLine(std::string_view line, std::vector<std::string>& events) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) {
    if (has_data_) events.push_back(std::move(data_));
    data_.clear();
    has_data_ = false;
    return;
  }
  constexpr std::string_view kData = "data:";
  if (!line.starts_with(kData)) return;
  line.remove_prefix(kData.size());
  if (line.starts_with(' ')) line.remove_prefix(1);
  if (has_data_) data_ += '\n';
  data_ += line;
  has_data_ = true;
}

std::vector<std::string> EventReader::Feed(std::string_view piece) {
  std::vector<std::string> events;
  while (true) {
    const size_t end = piece.find('\n');
    line_ += piece.substr(0, end);
    if (end == std::string_view::npos) return events;
    TakeLine(line_, events);
    line_.clear();
    piece.remove_prefix(end + 1);
  }
}

}  // namespace headrace::serve
