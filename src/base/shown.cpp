#include "base/shown.h"

namespace headrace {
namespace {

constexpr size_t kMostShown = 40;
constexpr std::string_view kBlanks = " \t\r\n";

}  // namespace

std::string Shown(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  text = begin == std::string_view::npos ? std::string_view()
                                         : text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
  std::string shown(text.substr(0, kMostShown));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
    if (static_cast<unsigned char>(c) >= 0x7f) c = '?';
  }
  if (text.size() > kMostShown) shown += "...";
  return shown;
}

}  // namespace headrace
