#include "serve/api/downloads.h"

#include <algorithm>
#include <cstdlib>

#include <boost/asio/post.hpp>

#include "models/places.h"

namespace headrace::serve {
namespace {

const char* DownloadVariable(const char* name) { return std::getenv(name); }

}  // namespace

Status CheckDownloadsOffered(const Settings& settings) {
  const std::string hub = HubFolder(DownloadVariable);
  const bool offered = std::any_of(settings.places.begin(), settings.places.end(),
                                   [&](const ModelPlace& place) { return place.folder == hub; });
  if (offered) return {};
  return Status(Code::kUnsupported,
                "this server does not offer the folder into which models are pulled; write headrace pull, and start "
                "headrace serve without a file and without --models-dir");
}

std::optional<Result<PulledModel>> Download::End() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

PullProgress Download::Progress() const {
  const std::lock_guard lock(mutex_);
  return progress_;
}

std::shared_ptr<Download> Downloads::Start(std::string source) {
  const auto download = std::make_shared<Download>();
  asio::post(thread_, [this, download, source = std::move(source)] { Run(*download, source); });
  return download;
}

void Downloads::Run(Download& download, const std::string& source) {
  const auto wanted = [&] { return !download.stop_ && !ending_; };
  PullEvents events;
  events.say = [](const std::string&) {};
  events.on_progress = [&](const PullProgress& progress) {
    const std::lock_guard lock(download.mutex_);
    download.progress_ = progress;
    return wanted();
  };
  PullRequest request;
  request.source = source;
  auto pulled = wanted() ? PullModel(request, DownloadVariable, "headrace/" HEADRACE_VERSION, events)
                         : Result<PulledModel>(Status(Code::kCancelled, "the server is ending"));
  const std::lock_guard lock(download.mutex_);
  download.end_.emplace(std::move(pulled));
}

}  // namespace headrace::serve
