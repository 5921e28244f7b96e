#include "models/ranged_download.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <list>
#include <set>

#include <fmt/format.h>

#include "base/descriptor.h"
#include "base/shown.h"
#include "base/size.h"

namespace headrace {
namespace {

using Clock = std::chrono::steady_clock;
using Millis = std::chrono::milliseconds;

constexpr size_t kConnections = 4;
constexpr unsigned kMostFailures = 8;  // one after the other, without a byte between them
constexpr Millis kFirstPause{100}, kLongestPause{10'000}, kLongestAsked{60'000}, kPoll{100};
constexpr Millis kSaveTime{2'000};

// "bytes 100-199/12345": where it begins, and how long the whole is.
bool MatchesRange(const std::string& header, const HttpRange& range, uint64_t bytes) {
  return header == fmt::format("bytes {}-{}/{}", range.begin, range.end - 1, bytes);
}

class Download;

// A range that is under way.
struct Transfer {
  Transfer(Download& owner, const HttpAccess& access, HttpWish wish, size_t which, HttpRange what);
  size_t piece;
  HttpRange range;
  uint64_t at;           // where its next byte belongs
  bool checked = false;  // the answer is what was asked for
  const Clock::time_point begun = Clock::now();
  std::unique_ptr<HttpRequest> request;
};

class Download {
 public:
  Download(const DownloadFile& file, const HttpAccess& access, const std::function<bool(uint64_t)>& on_progress)
      : file_(file),
        access_(access),
        on_progress_(on_progress),
        state_(DownloadState::Load(StatePath(file), file.bytes, file.tag)),
        ranges_(file.ranges),
        multi_(curl_multi_init(), curl_multi_cleanup) {}
  ~Download() {
    for (const auto& transfer : transfers_) curl_multi_remove_handle(multi_.get(), transfer->request->handle());
  }

  Status Run() {
    HEADRACE_RETURN_IF_ERROR(Open());
    if (!ranges_) state_.Clear();
    Status status = Loop();
    const Status saved = Save();
    return status.ok() ? saved : status;
  }

  // A transfer's bytes.
  bool Take(Transfer& transfer, std::string_view bytes) {
    if (!transfer.checked && !Check(transfer)) return false;
    if (transfer.at + bytes.size() > transfer.range.end)
      return Fatal(Status(Code::kIo, "the server sends more than was asked for"));
    while (!bytes.empty()) {
      const ssize_t written = pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(transfer.at));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return Fatal(WriteError());
      state_.Add(transfer.at, static_cast<uint64_t>(written));
      transfer.at += static_cast<uint64_t>(written);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    failures_ = ranges_ ? 0 : failures_;
    return true;
  }

 private:
  Status WriteError() const {
    const bool full = errno == ENOSPC || errno == EDQUOT;
    return Status(
        Code::kIo,
        fmt::format("{}: cannot write: {}{}", file_.part, std::strerror(errno),
                    full ? "; free some space and run the same command again: it continues where it stopped" : ""));
  }
  bool Fatal(Status status) {
    if (fatal_.ok()) fatal_ = std::move(status);
    return false;
  }

  Status Open() {
    if (multi_ == nullptr) return Status(Code::kInternal, "libcurl cannot be started");
    fd_ = Descriptor(open(file_.part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd_.valid()) return WriteError();
    if (flock(fd_.get(), LOCK_EX | LOCK_NB) != 0)
      return Status(Code::kIo, fmt::format("{}: another headrace pull is downloading it", file_.part));
    struct stat info {};
    if (fstat(fd_.get(), &info) != 0) return WriteError();
    // Without the bytes that the state tells of there is nothing.
    if (state_.done_bytes() > 0 && static_cast<uint64_t>(info.st_size) != file_.bytes) state_.Clear();
    if (ftruncate(fd_.get(), static_cast<off_t>(file_.bytes)) != 0) return WriteError();
    return {};
  }

  Status Save() {
    if (fd_.valid() && fdatasync(fd_.get()) != 0) return WriteError();
    saved_at_ = Clock::now();
    return state_.Save(StatePath(file_));
  }

  Status Loop() {
    saved_at_ = Clock::now();
    while (!state_.complete()) {
      Start();
      int running = 0;
      curl_multi_perform(multi_.get(), &running);
      CollectEnded();
      if (!fatal_.ok()) return fatal_;
      if (!on_progress_(state_.done_bytes()))
        return Status(Code::kCancelled, "stopped; the same command continues where it stopped");
      if (ranges_ && Clock::now() - saved_at_ > kSaveTime) HEADRACE_RETURN_IF_ERROR(Save());
      if (!state_.complete()) curl_multi_poll(multi_.get(), nullptr, 0, static_cast<int>(kPoll.count()), nullptr);
    }
    return {};
  }

  // As many as may be under way.
  void Start() {
    if (Clock::now() < not_before_) return;
    if (!ranges_) {
      if (!transfers_.empty()) return;
      state_.Clear();
      Add(0, {0, file_.bytes});
      return;
    }
    for (size_t i = 0; i < state_.pieces() && transfers_.size() < kConnections; ++i) {
      const HttpRange missing = state_.Missing(i);
      if (missing.begin < missing.end && !under_way_.contains(i)) Add(i, missing);
    }
  }
  void Add(size_t piece, HttpRange range) {
    HttpWish wish{direct_.empty() ? file_.url : direct_};
    if (ranges_) wish.range = range;
    transfers_.push_back(std::make_unique<Transfer>(*this, access_, std::move(wish), piece, range));
    under_way_.insert(piece);
    curl_multi_add_handle(multi_.get(), transfers_.back()->request->handle());
  }

  // The answer's headers, before its first byte is taken.
  bool Check(Transfer& transfer) {
    const HttpRequest& request = *transfer.request;
    const std::string tag = request.Header("etag");
    if (version_.empty()) version_ = file_.tag.empty() ? tag : file_.tag;
    if (!file_.hashed && tag != version_)
      return Fatal(
          Status(Code::kChanged, fmt::format("{} changed during the download; run the same command again", file_.url)));
    if (ranges_ && request.code() == 200 && !(transfer.range.begin == 0 && transfer.range.end == file_.bytes)) {
      whole_only_ = true;
      return false;
    }
    if (request.code() == 206 && !MatchesRange(request.Header("content-range"), transfer.range, file_.bytes)) {
      return Fatal(Status(Code::kIo, fmt::format("{}: asked for bytes {} to {} of {}, it sends \"{}\"",
                                                 OriginOf(request.url()), transfer.range.begin, transfer.range.end - 1,
                                                 file_.bytes, Shown(request.Header("content-range")))));
    }
    transfer.checked = true;
    return true;
  }

  void CollectEnded() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      CURL* easy = message->easy_handle;
      const CURLcode code = message->data.result;
      const auto found = std::find_if(transfers_.begin(), transfers_.end(),
                                      [&](const auto& transfer) { return transfer->request->handle() == easy; });
      curl_multi_remove_handle(multi_.get(), easy);
      if (found == transfers_.end()) continue;
      if ((*found)->request->Ended(code)) {
        curl_multi_add_handle(multi_.get(), easy);
        continue;
      }
      Judge(**found);
      under_way_.erase((*found)->piece);
      transfers_.erase(found);
    }
    if (whole_only_ && ranges_) {
      ranges_ = false;
      for (const auto& transfer : transfers_) curl_multi_remove_handle(multi_.get(), transfer->request->handle());
      transfers_.clear();
      under_way_.clear();
    }
  }

  // Those that were under way together fail together, which counts once.
  unsigned CountFailure(const Transfer& transfer) {
    if (transfer.begun < failed_at_) return failures_;
    failed_at_ = Clock::now();
    return ++failures_;
  }

  void Judge(const Transfer& transfer) {
    const HttpRequest& request = *transfer.request;
    if (!fatal_.ok() || whole_only_) return;
    const bool answered = request.code() == 200 || request.code() == 206;
    if (answered && request.status().ok() && transfer.at == transfer.range.end) {
      if (direct_.empty() && request.url() != file_.url) direct_ = request.url();
      return;
    }
    const bool redirected = request.url() != file_.url || !direct_.empty();
    direct_.clear();  // an address for a while is asked for anew
    if (request.status().ok() && !answered) {
      const bool passing = request.code() == 429 || request.code() == 408 || request.code() >= 500 || redirected;
      if (!passing || CountFailure(transfer) >= kMostFailures) {
        Fatal(RefusalStatus(request, file_.url));
        return;
      }
    } else if (CountFailure(transfer) >= kMostFailures) {
      const std::string why =
          request.status().ok() ? OriginOf(request.url()) + ": the answer ended early" : request.status().message();
      Fatal(Status(Code::kIo,
                   fmt::format("{} (tried {} times); the same command continues where it stopped", why, failures_)));
      return;
    }
    Millis pause = std::min(kLongestPause, kFirstPause * (1 << std::min(failures_, 10u)));
    const std::string asked = request.Header("retry-after");
    if (!asked.empty() && asked.size() < 6 && asked.find_first_not_of("0123456789") == std::string::npos)
      pause = std::min(kLongestAsked, Millis(1000) * std::stoi(asked));
    if (failures_ > 0) not_before_ = Clock::now() + pause;
  }

  const DownloadFile& file_;
  const HttpAccess& access_;
  const std::function<bool(uint64_t)>& on_progress_;
  DownloadState state_;
  bool ranges_, whole_only_ = false;
  Descriptor fd_;
  const std::unique_ptr<CURLM, decltype(&curl_multi_cleanup)> multi_;
  std::list<std::unique_ptr<Transfer>> transfers_;
  std::set<size_t> under_way_;  // pieces
  std::string direct_;          // where the address of the file leads, "" not known
  std::string version_;         // the ETag of the first answer
  unsigned failures_ = 0;
  Clock::time_point not_before_{}, saved_at_{}, failed_at_{};
  Status fatal_;
};

Transfer::Transfer(Download& owner, const HttpAccess& access, HttpWish wish, size_t which, HttpRange what)
    : piece(which), range(what), at(what.begin) {
  wish.on_body = [this, &owner](std::string_view bytes) { return owner.Take(*this, bytes); };
  request = std::make_unique<HttpRequest>(std::move(wish), access);
}

}  // namespace

std::string StatePath(const DownloadFile& file) { return file.part + ".state"; }

uint64_t MissingBytes(const DownloadFile& file) {
  std::error_code error;
  if (!file.ranges || std::filesystem::file_size(file.part, error) != file.bytes || error) return file.bytes;
  return file.bytes - DownloadState::Load(StatePath(file), file.bytes, file.tag).done_bytes();
}

Status DownloadRanges(const DownloadFile& file, const HttpAccess& access,
                      const std::function<bool(uint64_t)>& on_progress) {
  return Download(file, access, on_progress).Run();
}

Status RefusalStatus(const HttpRequest& request, const std::string& what) {
  const Code code = request.code() == 401 || request.code() == 403   ? Code::kPermission
                    : request.code() == 404 || request.code() == 410 ? Code::kNotFound
                                                                     : Code::kIo;
  const std::string text =
      Shown(request.FirstHeader("x-error-message").empty() ? request.Header("x-error-message")
                                                           : request.FirstHeader("x-error-message"));
  return Status(
      code, fmt::format("{}: the server answers {}{}", what, request.code(), text.empty() ? "" : " (" + text + ")"));
}

}  // namespace headrace
