// What `headrace top` shows, as lines of text and as JSON. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "top/watch.h"

namespace headrace::top {

struct View {
  std::vector<std::string> lines;  // at most as many and as wide as was asked for
  int selected = -1;               // the line of the selected process, -1: none
};

// One row for each process, `selected` among them, with its advice, notes and keys below. Columns that do not fit are
// left out, the least important first.
View TableView(const Picture& picture, size_t selected, size_t width, size_t height);
// Everything about one process, from its line `first` on.
View DetailView(const Row& row, size_t first, size_t width, size_t height);

// All of it as plain text, however wide.
std::string RenderText(const Picture& picture);
// One object in one line. The keys are stable; unknown numbers are null. `time_s`: seconds since 1970.
std::string RenderJson(const Picture& picture, int64_t time_s);

}  // namespace headrace::top
