#include "top/view.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

#include "base/size.h"
#include "report/text_table.h"

namespace headrace::top {
namespace {

constexpr const char* kNothing =
    "no process streams weights now; one that does: headrace run model.gguf --flash-mode on";
constexpr const char* kTableKeys = "q quit  arrows select  Enter details";
constexpr const char* kDetailKeys = "q quit  arrows scroll  Enter back";

struct Column {
  std::string title;
  bool left = false;
  int rank = 0;  // the highest goes first when there is no room
  std::vector<std::string> cells;
  size_t width = 0;
};

std::string Percent(double share) { return fmt::format("{:.0f}", 100 * share); }

std::string Speed(double bytes_per_s) { return fmt::format("{:.2f}", bytes_per_s / 1e9); }

std::string PerSecond(const std::optional<double>& rate) {
  return rate ? fmt::format("{:.{}f}", *rate, *rate < 10 ? 2 : 1) : "...";
}

std::string OfWhole(const std::string& part, const std::string& whole) {
  return whole.empty() ? part : part + "/" + whole;
}

std::string Disk(const Row& row) {
  return OfWhole(Speed(row.rates.disk_bytes_per_s),
                 row.machine.disk_bytes_per_s > 0 ? Speed(row.machine.disk_bytes_per_s) : "");
}

std::string Memory(const cli::Statistics& s) {
  return OfWhole(FormatSize(s.process_bytes), s.process_limit_bytes > 0 ? FormatSize(s.process_limit_bytes) : "");
}

std::string Shares(const Rates& rates) {
  return Percent(rates.wait_share) + "/" + Percent(rates.kernel_share) + "/" + Percent(rates.own_share);
}

// Cuts at a whole character.
std::string Cut(std::string text, size_t width) {
  if (cli::DisplayWidth(text) <= width) return text;
  size_t end = 0;
  for (size_t shown = 0; end < text.size(); ++end) {
    if ((static_cast<unsigned char>(text[end]) & 0xc0) != 0x80 && ++shown > width) break;
  }
  return text.substr(0, end);
}

std::vector<Column> Columns(const Picture& picture) {
  std::vector<Column> columns = {
      {"PID", false, 1, {}},      {"MODEL", true, 0, {}},       {"LIMITED BY", true, 2, {}},
      {"TOK/S", false, 3, {}},    {"DISK GB/S", false, 4, {}},  {"WAIT/KERN/OWN %", false, 6, {}},
      {"RESIDENT", false, 8, {}}, {"PER PASS", false, 7, {}},   {"HIT %", false, 9, {}},
      {"MEMORY", false, 5, {}},   {"ERR/RETRY", false, 10, {}}, {"PROGRAM", true, 11, {}}};
  for (const Row& row : picture.rows) {
    const cli::Statistics& s = row.process.statistics;
    const std::vector<std::string> cells = {std::to_string(row.process.pid),
                                            s.model.empty() ? row.process.program : s.model,
                                            ToString(row.verdict.limit),
                                            PerSecond(row.rates.tokens_per_s),
                                            Disk(row),
                                            Shares(row.rates),
                                            FormatSize(s.resident_bytes + s.expert_resident_bytes),
                                            FormatSize(s.streamed_bytes_per_pass),
                                            row.rates.hit_rate ? Percent(*row.rates.hit_rate) : "-",
                                            Memory(s),
                                            fmt::format("{}/{}", s.errors, s.reads_retried),
                                            row.process.program};
    for (size_t i = 0; i < columns.size(); ++i) columns[i].cells.push_back(cells[i]);
  }
  for (Column& column : columns) {
    column.width = cli::DisplayWidth(column.title);
    for (const std::string& cell : column.cells) column.width = std::max(column.width, cli::DisplayWidth(cell));
  }
  return columns;
}

constexpr size_t kGap = 2;
constexpr size_t kNarrowestModel = 8;

// Leaves columns out, then shortens the model's name, until a line fits.
void Fit(std::vector<Column>& columns, size_t width) {
  const auto total = [&] {
    size_t sum = 0;
    for (const Column& column : columns) sum += column.width + kGap;
    return sum - kGap;
  };
  Column* model = &columns[1];
  while (total() > width) {
    const size_t over = total() - width;
    if (model->width > kNarrowestModel) {
      // A shortened name is better than no number, but only down to a length that tells models apart.
      const size_t spare = model->width - std::max(kNarrowestModel, std::min<size_t>(model->width, 20));
      if (spare >= over || columns.size() <= 4) {
        model->width -= std::min(over, model->width - kNarrowestModel);
        if (total() <= width) return;
      }
    }
    if (columns.size() <= 2) return;
    columns.erase(std::max_element(columns.begin(), columns.end(),
                                   [](const Column& a, const Column& b) { return a.rank < b.rank; }));
    model = &*std::find_if(columns.begin(), columns.end(), [](const Column& column) { return column.rank == 0; });
  }
}

std::string Cell(const Column& column, const std::string& text) {
  const std::string cut = Cut(text, column.width);
  const std::string padding(column.width - cli::DisplayWidth(cut), ' ');
  return column.left ? cut + padding : padding + cut;
}

std::string Line(const std::vector<Column>& columns, const std::function<std::string(const Column&)>& text) {
  std::string line;
  for (const Column& column : columns) line += (line.empty() ? "" : "  ") + Cell(column, text(column));
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

std::string Heading(const Picture& picture) {
  double disk = 0;
  for (const Row& row : picture.rows) disk += row.rates.disk_bytes_per_s;
  return fmt::format("headrace top: {} process{}, {} GB/s from disk", picture.rows.size(),
                     picture.rows.size() == 1 ? "" : "es", Speed(disk));
}

std::string Advice(const Row& row) {
  std::string text = fmt::format("{} {}: {}", row.process.pid, row.process.program, ToString(row.verdict.limit));
  if (!row.verdict.advice.empty()) text += "; " + row.verdict.advice;
  return text;
}

// Breaks at blanks.
void Wrap(const std::string& text, size_t width, size_t most, std::vector<std::string>& lines) {
  std::string rest = text;
  for (; most > 1 && cli::DisplayWidth(rest) > width; --most) {
    const std::string head = Cut(rest, width);
    const size_t blank = head.rfind(' ');
    const size_t end = blank == std::string::npos || blank == 0 ? head.size() : blank;
    lines.push_back(rest.substr(0, end));
    rest.erase(0, std::min(rest.find_first_not_of(' ', end), rest.size()));
  }
  if (most > 0 && !rest.empty()) lines.push_back(rest);
}

void Finish(View& view, const char* keys, size_t width, size_t height) {
  if (height == 0) {
    view.lines.clear();
  } else {
    view.lines.resize(std::min(view.lines.size(), height - 1));
    if (height > 1) view.lines.resize(height - 1);
    view.lines.emplace_back(keys);
  }
  for (std::string& line : view.lines) line = Cut(line, width);
  if (view.selected >= static_cast<int>(view.lines.size()) - 1) view.selected = -1;
}

std::vector<std::pair<std::string, std::string>> Details(const Row& row) {
  const cli::Statistics& s = row.process.statistics;
  const Rates& r = row.rates;
  std::vector<std::pair<std::string, std::string>> lines = {
      {"model", s.model},
      {"limited by", ToString(row.verdict.limit)},
      {"would help", row.verdict.advice.empty() ? "-" : row.verdict.advice},
      {"speed", fmt::format("{} tokens/s, {} passes/s", PerSecond(r.tokens_per_s), PerSecond(r.passes_per_s))},
      {"disk", fmt::format("{} GB/s now, {} probed", Speed(r.disk_bytes_per_s),
                           row.machine.disk_bytes_per_s > 0 ? Speed(row.machine.disk_bytes_per_s) + " GB/s" : "not")},
      {"time in passes",
       fmt::format("{} % waiting for the disk, {} in kernels, {} own, {} engine; busy {} % of the time",
                   Percent(r.wait_share), Percent(r.kernel_share), Percent(r.own_share), Percent(r.engine_share),
                   Percent(r.busy_share))},
      {"resident", fmt::format("{} of {}", FormatSize(s.resident_bytes),
                               FormatSize(s.weight_bytes - std::min(s.weight_bytes, s.expert_bytes)))},
      {"streamed", fmt::format("{} per pass", FormatSize(s.streamed_bytes_per_pass))}};
  for (const std::string& line : cli::DriveLines(s)) lines.emplace_back("drive", line);
  if (s.expert_bytes > 0) {
    lines.emplace_back("experts",
                       fmt::format("{} of {} in memory, room for {}; {} % of choices hit",
                                   FormatSize(s.expert_resident_bytes), FormatSize(s.expert_bytes),
                                   FormatSize(s.expert_cache_bytes), r.hit_rate ? Percent(*r.hit_rate) : "-"));
  }
  if (s.uploaded_bytes > 0) {
    lines.emplace_back("to devices", fmt::format("{} GB/s now; {} copied since the start, {} of it from memory",
                                                 Speed(r.upload_bytes_per_s), FormatSize(s.uploaded_bytes),
                                                 FormatSize(s.uploaded_from_memory_bytes)));
  }
  lines.emplace_back(
      "memory",
      fmt::format("{}{}; {} for weights", FormatSize(s.process_bytes),
                  s.process_limit_bytes > 0 ? " of " + FormatSize(s.process_limit_bytes) + " used" : " used, no limit",
                  FormatSize(s.budget_bytes)));
  lines.emplace_back("since the start",
                     fmt::format("{} passes, {} tokens, {} read", s.passes, s.tokens, FormatSize(s.bytes_read)));
  lines.emplace_back("errors",
                     fmt::format("{}, {} reads failed, {} repeated{}", s.errors, s.reads_failed, s.reads_retried,
                                 s.last_error.empty() ? "" : "; the first: " + s.last_error));
  return lines;
}

}  // namespace

View TableView(const Picture& picture, size_t selected, size_t width, size_t height) {
  View view;
  view.lines.push_back(Heading(picture));
  std::vector<std::string> below;
  if (picture.rows.empty()) {
    Wrap(kNothing, width, 3, below);
  } else {
    Wrap(Advice(picture.rows[selected]), width, 3, below);
  }
  if (!picture.notes.empty()) {
    below.push_back(picture.notes.size() == 1
                        ? picture.notes.front()
                        : fmt::format("{} (and {} more)", picture.notes.front(), picture.notes.size() - 1));
  }
  if (!picture.rows.empty()) {
    std::vector<Column> columns = Columns(picture);
    Fit(columns, width);
    view.lines.push_back(Line(columns, [](const Column& column) { return column.title; }));
    // Heading, titles and keys have their lines; processes at least one.
    const size_t most = height > below.size() + 4 ? height - below.size() - 4 : 1;
    const size_t first = selected < most ? 0 : selected - most + 1;
    for (size_t i = first; i < std::min(picture.rows.size(), first + most); ++i) {
      if (i == selected) view.selected = static_cast<int>(view.lines.size());
      view.lines.push_back(Line(columns, [i](const Column& column) { return column.cells[i]; }));
    }
  }
  if (view.lines.size() + below.size() + 2 <= height) view.lines.emplace_back();
  view.lines.insert(view.lines.end(), below.begin(), below.end());
  Finish(view, kTableKeys, width, height);
  return view;
}

View DetailView(const Row& row, size_t first, size_t width, size_t height) {
  View view;
  view.lines.push_back(fmt::format("headrace top: {} {}", row.process.pid, row.process.program));
  std::vector<std::string> lines;
  for (const auto& [name, value] : Details(row)) Wrap(fmt::format("{:<16}{}", name + ":", value), width, 4, lines);
  const size_t room = height > 2 ? height - 2 : 0;
  first = std::min(first, lines.size() - std::min(lines.size(), room));
  view.lines.insert(view.lines.end(), lines.begin() + static_cast<std::ptrdiff_t>(first), lines.end());
  Finish(view, kDetailKeys, width, height);
  return view;
}

std::string RenderText(const Picture& picture) {
  std::string text;
  if (picture.rows.empty()) {
    text = std::string(kNothing) + "\n";
  } else {
    const std::vector<Column> columns = Columns(picture);
    text = Line(columns, [](const Column& column) { return column.title; }) + "\n";
    for (size_t i = 0; i < picture.rows.size(); ++i)
      text += Line(columns, [i](const Column& column) { return column.cells[i]; }) + "\n";
    for (const Row& row : picture.rows) {
      text += Advice(row) + "\n";
      if (!row.process.statistics.last_error.empty())
        text += fmt::format("{} error: {}\n", row.process.pid, row.process.statistics.last_error);
    }
  }
  for (const std::string& note : picture.notes) text += note + "\n";
  return text;
}

}  // namespace headrace::top
