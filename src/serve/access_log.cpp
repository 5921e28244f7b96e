#include "serve/access_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "base/json.h"
#include "base/letters.h"
#include "base/log.h"
#include "base/standard_streams.h"
#include "base/time_stamp.h"
#include "http/http.h"

namespace headrace::serve {
namespace {

constexpr mode_t kLogMode = 0640;
constexpr const char* kSecretParts[] = {"key", "token", "auth", "secret", "pass", "sign", "credential"};
constexpr std::string_view kSecret = "***";

bool MayBeSecret(std::string_view name) {
  // One in escapes is not worth reading.
  if (name.find('%') != std::string_view::npos) return true;
  const std::string small = Lowered(std::string(name));
  for (const char* part : kSecretParts) {
    if (small.find(part) != std::string::npos) return true;
  }
  return false;
}

std::string Printable(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    const bool plain = c > ' ' && c < 0x7f && c != '"' && c != '\\';
    shown += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return shown;
}

double SecondsOf(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

// Until it was handed to the model's process: of a request for one.
std::optional<double> WaitedSeconds(const RequestRecord& record, Clock::time_point end) {
  if (record.model.empty()) return std::nullopt;
  return SecondsOf(record.computed_from.value_or(end) - record.begin);
}

std::string TextLine(const RequestRecord& record, Clock::time_point end) {
  const auto shown = [](const std::string& text) { return text.empty() ? std::string("-") : Printable(text); };
  std::string line = fmt::format("{} {} {} {} {} {} {:.3f}s", TimeStamp(record.time), shown(record.remote),
                                 shown(record.method), record.target.empty() ? "-" : ShownTarget(record.target),
                                 record.status, record.bytes, SecondsOf(end - record.begin));
  if (!record.model.empty()) line += " model=" + Printable(record.model);
  if (record.tokens_in) line += fmt::format(" in={}", *record.tokens_in);
  if (record.tokens_out) line += fmt::format(" out={}", *record.tokens_out);
  if (const auto waited = WaitedSeconds(record, end)) line += fmt::format(" waited={:.3f}s", *waited);
  if (record.gone) line += " left";
  if (record.broken) line += " broken";
  return line + "\n";
}

std::string JsonLine(const RequestRecord& record, Clock::time_point end) {
  const auto text = [](const std::string& value) { return value.empty() ? Json() : Json(value); };
  const auto number = [](const std::optional<uint64_t>& value) { return value ? Json(*value) : Json(); };
  const auto milliseconds = [](double seconds) {
    return static_cast<double>(static_cast<int64_t>(seconds * 1e3)) / 1e3;
  };
  const auto waited = WaitedSeconds(record, end);
  Json json;
  json["time"] = TimeStamp(record.time);
  json["remote"] = text(record.remote);
  json["method"] = text(record.method);
  json["path"] = record.target.empty() ? Json() : Json(ShownTarget(record.target));
  json["status"] = record.status;
  json["bytes"] = record.bytes;
  json["duration_s"] = milliseconds(SecondsOf(end - record.begin));
  json["model"] = text(record.model);
  json["tokens_in"] = number(record.tokens_in);
  json["tokens_out"] = number(record.tokens_out);
  json["waited_s"] = waited ? Json(milliseconds(*waited)) : Json();
  json["client_left"] = record.gone;
  json["broken"] = record.broken;
  return Dump(json) + "\n";
}

}  // namespace

std::string ShownTarget(const std::string& target) {
  // What could not be parsed may still have its host, with a password, before its path.
  const size_t scheme = target.find("://"), query = target.find('?');
  size_t begin = 0;
  if (!target.starts_with('/') && scheme < query) begin = std::min(target.find('/', scheme + 3), target.size());
  const size_t mark = std::min(target.find('?', begin), target.size());
  std::string shown = Printable(std::string_view(target).substr(begin, mark - begin));
  std::string_view rest = std::string_view(target).substr(mark);
  char before = '?';
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    const size_t equals = std::min(pair.find('='), pair.size());
    shown += before + Printable(pair.substr(0, equals));
    if (equals < pair.size()) {
      shown += '=';
      shown += MayBeSecret(pair.substr(0, equals)) ? std::string(kSecret) : Printable(pair.substr(equals + 1));
    }
    rest.remove_prefix(end);
    before = '&';
  }
  return shown;
}

std::string AccessLine(const RequestRecord& record, LogFormat format, Clock::time_point end) {
  return format == LogFormat::kJson ? JsonLine(record, end) : TextLine(record, end);
}

Status AccessLog::Open(std::string path, LogFormat format) {
  path_ = std::move(path);
  format_ = format;
  if (path_ != "-") return path_.empty() ? Status() : OpenAgain();
  file_ = Descriptor(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  struct stat info {};
  regular_ = ::fstat(file_.get(), &info) == 0 && S_ISREG(info.st_mode);
  return {};
}

Status AccessLog::OpenAgain() {
  // A pipe without a reader is an error, and not waited for.
  Descriptor file = AboveStandardStreams(
      ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, kLogMode));
  struct stat info {};
  if (!file.valid() || ::fstat(file.get(), &info) != 0) {
    const Code code = errno == EACCES ? Code::kPermission : Code::kInvalidArgument;
    return Status(code, fmt::format("--access-log: cannot write to {}: {}", path_, std::strerror(errno)));
  }
  file_ = std::move(file);
  regular_ = S_ISREG(info.st_mode);
  torn_ = false;
  return {};
}

void AccessLog::Write(const RequestRecord& record) {
  if (!file_.valid()) return;
  const std::string line = (torn_ ? "\n" : "") + AccessLine(record, format_, Clock::now());
  int error = 0;
  if (regular_) {
    const ssize_t written = ::write(file_.get(), line.data(), line.size());
    error = written == static_cast<ssize_t>(line.size()) ? 0 : written < 0 ? errno : ENOSPC;
    if (written > 0) torn_ = error != 0;
  } else {
    error = WriteWhatFits(file_.get(), line);
  }
  NoteLoss(error);
}

// Once when it begins, once when it is over.
void AccessLog::NoteLoss(int error) {
  if (error != 0 && lost_++ == 0)
    LogWarning(fmt::format("--access-log: lines are lost: cannot write to {}: {}", path_, std::strerror(error)));
  if (error == 0 && lost_ > 0) LogWarning(fmt::format("--access-log: {} lines were lost", lost_));
  if (error == 0) lost_ = 0;
}

}  // namespace headrace::serve
