#include "top/screen.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <fmt/format.h>

#include "top/view.h"

#include <curses.h>

namespace headrace::top {
namespace {

using Clock = std::chrono::steady_clock;

// The terminal in full-screen mode, as long as it lives.
class Terminal {
 public:
  Terminal() : screen_(newterm(nullptr, stdout, stdin)) {
    if (screen_ == nullptr) return;
    set_term(screen_);
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    set_escdelay(50);
    curs_set(0);
  }
  ~Terminal() {
    if (screen_ == nullptr) return;
    endwin();
    delscreen(screen_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  bool ok() const { return screen_ != nullptr; }

 private:
  SCREEN* screen_;
};

void Draw(const View& view) {
  erase();
  for (size_t i = 0; i < view.lines.size(); ++i) {
    const bool marked = static_cast<int>(i) == view.selected, dim = i == 0 || i + 1 == view.lines.size();
    attrset(marked ? A_REVERSE : dim ? A_BOLD : A_NORMAL);
    mvaddnstr(static_cast<int>(i), 0, view.lines[i].c_str(), -1);
  }
  refresh();
}

struct Place {
  pid_t pid = 0;  // of the selected process
  size_t selected = 0;
  bool details = false;
  size_t scroll = 0;
};

// The selection stays with its process while others come and go.
void Follow(const Picture& picture, Place& place) {
  const auto& rows = picture.rows;
  const auto same =
      std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.process.pid == place.pid; });
  if (same != rows.end()) {
    place.selected = static_cast<size_t>(same - rows.begin());
  } else {
    place.selected = std::min(place.selected, rows.empty() ? 0 : rows.size() - 1);
    place.details = false;
  }
  place.pid = rows.empty() ? 0 : rows[place.selected].process.pid;
}

// False: the user quits.
bool Act(int key, const Picture& picture, Place& place) {
  const bool down = key == KEY_DOWN || key == 'j', up = key == KEY_UP || key == 'k';
  if (key == 'q' || key == 'Q') return false;
  if (key == KEY_ENTER || key == '\n' || key == '\r' || (key == 27 && place.details)) {
    place.details = !place.details && !picture.rows.empty();
    place.scroll = 0;
  } else if (place.details) {
    if (down && place.scroll < 100) ++place.scroll;
    if (up && place.scroll > 0) --place.scroll;
  } else if ((down && place.selected + 1 < picture.rows.size()) || (up && place.selected > 0)) {
    place.selected += down ? 1 : -1;
    place.pid = picture.rows[place.selected].process.pid;
  }
  return true;
}

}  // namespace

Status ShowScreen(Watch& watch, double interval_s) {
  std::setlocale(LC_CTYPE, "");
  const Terminal terminal;
  if (!terminal.ok()) {
    const char* name = std::getenv("TERM");
    return Status(Code::kUnsupported,
                  fmt::format("cannot draw on this terminal (TERM={}); headrace top --once prints text",
                              name == nullptr ? "" : name));
  }
  const auto interval = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(interval_s));
  Place place;
  Picture picture = watch.Look();
  // Speeds need two readings: the second one comes soon.
  Clock::time_point next = Clock::now() + std::min<Clock::duration>(interval, std::chrono::milliseconds(300));
  for (;;) {
    Follow(picture, place);
    const auto width = static_cast<size_t>(std::max(COLS, 1)), height = static_cast<size_t>(std::max(LINES, 1));
    Draw(place.details ? DetailView(picture.rows[place.selected], place.scroll, width, height)
                       : TableView(picture, place.selected, width, height));
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
    timeout(static_cast<int>(std::max<int64_t>(left.count(), 0)));
    const int key = getch();
    if (key != ERR && !Act(key, picture, place)) return {};
    if (key == ERR) {
      // A terminal that went away answers at once.
      if (isatty(STDIN_FILENO) != 1) return {};
      std::this_thread::sleep_until(std::min(next, Clock::now() + std::chrono::milliseconds(20)));
    }
    if (Clock::now() < next) continue;
    picture = watch.Look();
    next = Clock::now() + interval;
  }
}

}  // namespace headrace::top
