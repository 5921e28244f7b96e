// Columns of text for people: every column as wide as its widest cell.
#pragma once

#include <string>
#include <vector>

namespace headrace::cli {

class TextTable {
 public:
  enum class Align { kLeft, kRight };

  // One alignment per column; rows may be shorter, not longer (further cells are dropped).
  explicit TextTable(std::vector<Align> columns) : columns_(std::move(columns)) {}

  void AddRow(std::vector<std::string> cells);
  // The rows, two spaces between columns, no spaces at the ends of lines, each line ended by "\n".
  std::string Render() const;

 private:
  std::vector<Align> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// The number of characters that UTF-8 text takes on a terminal, one each.
size_t DisplayWidth(const std::string& text);

}  // namespace headrace::cli
