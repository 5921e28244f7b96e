#include "base/say.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <string>

#include "base/standard_streams.h"
#include "base/time_stamp.h"

namespace headrace {
namespace {

std::atomic<bool> g_never_waits{false};
std::atomic<bool> g_quiet{false};
std::atomic<bool> g_times{false};
// Which file standard error is; inode 0: none.
std::atomic<dev_t> g_device{0};
std::atomic<ino_t> g_inode{0};
std::atomic<bool> g_remembered{false};

bool IsStandardError() {
  if (!g_remembered) RememberStandardError();  // said before this was loaded to the end
  struct stat now {};
  if (::fstat(STDERR_FILENO, &now) != 0) return false;
  return (now.st_ino == g_inode && now.st_dev == g_device) || ::isatty(STDERR_FILENO) == 1;
}

[[maybe_unused]] const bool g_when_loaded = (RememberStandardError(), true);

}  // namespace

void Say(std::string_view line) {
  if (!g_quiet) SayError(line);
}

void SayError(std::string_view line) {
  std::string text = g_times ? TimeStamp(std::chrono::system_clock::now()) + " " : std::string();
  text += "headrace: ";
  text += line;
  text += '\n';
  SayRaw(text);
}

void SayRaw(std::string_view text) {
  const int saved_errno = errno;
  if (IsStandardError()) {
    [[maybe_unused]] const int lost =
        g_never_waits ? WriteWhatFits(STDERR_FILENO, text) : WriteAll(STDERR_FILENO, text);
  }
  errno = saved_errno;
}

void RememberStandardError() {
  struct stat now {};
  const bool open = ::fstat(STDERR_FILENO, &now) == 0;
  g_device = open ? now.st_dev : 0;
  g_inode = open ? now.st_ino : 0;
  g_remembered = true;
}

void LeaveOutNotes() { g_quiet = true; }

bool NotesLeftOut() { return g_quiet; }

void BeginLinesWithTime() { g_times = true; }

bool IsErrorKeptWithoutTime() {
  struct stat now {};
  if (::isatty(STDERR_FILENO) == 1 || ::fstat(STDERR_FILENO, &now) != 0) return false;
  const char* journal = std::getenv("JOURNAL_STREAM");  // "DEVICE:INODE"
  return journal == nullptr || journal != std::to_string(now.st_dev) + ":" + std::to_string(now.st_ino);
}

void NeverWaitForReader() { g_never_waits = true; }

}  // namespace headrace
