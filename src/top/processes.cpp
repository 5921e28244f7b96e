#include "top/processes.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/text_file.h"
#include "telemetry/snapshot_files.h"

namespace headrace::top {
namespace {

std::string ProgramOf(pid_t pid) {
  auto words = ReadTextFile(fmt::format("/proc/{}/cmdline", pid));
  if (!words || words->empty()) words = ReadTextFile(fmt::format("/proc/{}/comm", pid));
  if (!words) return "?";
  const std::string path = words->substr(0, std::min(words->find('\0'), words->find('\n')));
  const std::string name = std::filesystem::path(path).filename().string();
  return Printable(name.empty() ? "?" : name);
}

// Anybody can write a file that names another's process.
bool IsOf(pid_t pid, uint32_t user) {
  struct stat info {};
  return pid > 0 && ::stat(fmt::format("/proc/{}", pid).c_str(), &info) == 0 && info.st_uid == user;
}

}  // namespace

std::string Printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

Processes ReadProcesses(const std::vector<std::string>& more_files) {
  std::vector<std::string> paths = FindSnapshotFiles();
  paths.insert(paths.end(), more_files.begin(), more_files.end());
  Processes processes;
  size_t unreadable = 0;
  for (const std::string& path : paths) {
    const auto view = SnapshotView::Open(path);
    if (!view.ok()) {
      const Code code = view.status().code();
      if (code == Code::kPermission) ++unreadable;
      if (code == Code::kNotFound) RemoveIfAbandoned(path);
      if (code == Code::kUnsupported || code == Code::kCorrupt)
        processes.notes.push_back("ignored: " + Printable(view.status().message()));
      continue;
    }
    if (!view->alive()) {
      RemoveIfAbandoned(path);
      continue;
    }
    Process process;
    process.statistics = cli::ReadStatistics(**view);
    process.statistics.model = Printable(process.statistics.model);
    process.statistics.last_error = Printable(process.statistics.last_error);
    process.pid = static_cast<pid_t>(process.statistics.process_id);
    if (!IsOf(process.pid, view->user())) {
      processes.notes.push_back(
          fmt::format("ignored: {} names process {}, which is another user's or runs elsewhere (a container?)",
                      Printable(path), process.pid));
      continue;
    }
    process.program = ProgramOf(process.pid);
    processes.list.push_back(std::move(process));
  }
  if (unreadable > 0) {
    processes.notes.push_back(fmt::format("{} of other users not shown: only these users and root may read {}",
                                          unreadable, unreadable == 1 ? "it" : "them"));
  }
  std::stable_sort(processes.list.begin(), processes.list.end(),
                   [](const Process& a, const Process& b) { return a.pid < b.pid; });
  return processes;
}

}  // namespace headrace::top
