// The parts of launcher.h that are about text, and Capture.
#include <csignal>
#include <cstring>

#include <fmt/format.h>

#include "base/size.h"
#include "cli/launcher.h"

namespace headrace::cli {

Result<CaptureResult> Capture(const std::string& program, const std::vector<std::string>& arguments,
                              bool merge_stderr, const Environment& environment) {
  CaptureResult result;
  LaunchSpec spec;
  spec.program = program;
  spec.arguments = arguments;
  spec.environment = environment;
  spec.stdin_null = true;
  spec.stderr_null = !merge_stderr;
  spec.stderr_to_stdout = merge_stderr;
  spec.time_limit_ms = 30'000;
  spec.on_stdout = [&](std::string_view text) {
    result.output += text;
    return result.output.size() < 4 * kMiB;
  };
  auto outcome = Launch(spec);
  if (!outcome.ok()) return outcome.status();
  result.outcome = *outcome;
  return result;
}

std::vector<std::string> MergeEnvironment(const char* const* current, const Environment& changes) {
  std::vector<std::string> merged;
  for (; current != nullptr && *current != nullptr; ++current) {
    const std::string_view entry = *current;
    const std::string_view name = entry.substr(0, entry.find('='));
    bool replaced = false;
    for (const auto& change : changes) replaced = replaced || change.first == name;
    if (!replaced) merged.emplace_back(entry);
  }
  for (const auto& [name, value] : changes) merged.push_back(name + "=" + value);
  return merged;
}

std::string PreloadValue(const char* existing, const std::string& library) {
  std::string value = library;
  std::string_view rest = existing == nullptr ? "" : existing;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find_first_of(": "), rest.size());
    const std::string_view entry = rest.substr(0, end);
    if (!entry.empty() && entry != library) value.append(":").append(entry);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return value;
}

std::string DescribeSignal(int signal) {
  switch (signal) {
    case SIGKILL:
      return "was killed (SIGKILL), most likely because memory ran out, or a cgroup's limit was reached; "
             "try a smaller --ram or a shorter context (-c), and see `headrace doctor` for the limits";
    case SIGINT: return "was interrupted";
    case SIGTERM: return "was asked to end (SIGTERM)";
    case SIGSEGV:
    case SIGBUS:
    case SIGABRT:
    case SIGILL:
      return fmt::format("crashed ({}); try --flash-mode off, and report it if that helps", strsignal(signal));
    default: return fmt::format("was ended by signal {} ({})", signal, strsignal(signal));
  }
}

}  // namespace headrace::cli
