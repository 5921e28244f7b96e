#include "models/pull.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <vector>

#include <fmt/format.h>

#include "base/size.h"
#include "base/small_file.h"
#include "models/fetched_file.h"
#include "models/hub_client.h"
#include "models/hub_names.h"
#include "models/places.h"
#include "models/pull_source.h"

namespace headrace {
namespace {

namespace fs = std::filesystem;

Status MakeFolder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  return error ? Status(Code::kPermission,
                        fmt::format("{}: cannot create the folder: {}", folder.string(), error.message()))
               : Status();
}

// A link in one step, in place of what is there.
Status PutLink(const fs::path& target, const fs::path& link) {
  HEADRACE_RETURN_IF_ERROR(MakeFolder(link.parent_path()));
  const std::string temporary = link.string() + fmt::format(".link-{}", getpid());
  unlink(temporary.c_str());
  if (symlink(target.c_str(), temporary.c_str()) == 0 && rename(temporary.c_str(), link.c_str()) == 0) return {};
  const int failure = errno;
  unlink(temporary.c_str());
  return Status(Code::kIo, fmt::format("{}: cannot create the link: {}", link.string(), std::strerror(failure)));
}

class Pull {
 public:
  Pull(const PullRequest& request, const Getenv& getenv, const std::string& agent, const PullEvents& events)
      : request_(request), getenv_(getenv), agent_(agent), events_(events) {}

  Result<PulledModel> Run() {
    const auto source = ParsePullSource(request_.source);
    if (!source.ok()) return source.status();
    auto hub = HubOf(getenv_, agent_);
    if (!hub.ok()) return hub.status();
    hub_ = std::move(*hub);
    return source->repository.empty() ? FromAddress(*source) : FromHub(*source);
  }

 private:
  bool GoOn() { return events_.on_progress({"", false, 0, 0}); }

  Result<PulledModel> FromHub(const PullSource& source) {
    const std::string hub = HubFolder(getenv_);
    if (hub.empty()) return Status(Code::kInvalidArgument, "there is no folder for models: set HOME or HF_HOME");
    const auto listing = ListRepository(hub_.endpoint, source.repository, hub_.access, [this] { return GoOn(); });
    if (!listing.ok()) return listing.status();
    const auto chosen = ChooseFiles(listing->models, source, request_.projector);
    if (!chosen.ok()) return chosen.status();
    const fs::path repository = fs::path(hub) / HubFolderName(source.repository),
                   snapshot = repository / "snapshots" / listing->commit;
    std::vector<FetchedFile> files;
    for (const HubFile& file : *chosen) {
      FetchedFile fetched;
      fetched.url = HubFileUrl(hub_.endpoint, source.repository, listing->commit, file.path);
      fetched.bytes = file.bytes;
      fetched.sha256 = file.sha256;
      if (fetched.sha256.empty()) {
        auto probed = ProbeFile(fetched.url, hub_.access, [this] { return GoOn(); });
        if (!probed.ok()) return probed.status();
        fetched = std::move(*probed);
        // The cache calls a file by its hash.
        if (fetched.sha256.empty())
          return Status(Code::kUnsupported, fmt::format("{}: the hub gives no SHA-256 for it", fetched.url));
      }
      fetched.path = (repository / "blobs" / fetched.sha256).string();
      files.push_back(std::move(fetched));
    }
    HEADRACE_RETURN_IF_ERROR(MakeFolder(repository / "blobs"));
    names_.clear();
    for (const HubFile& file : *chosen) names_.push_back(file.path);
    auto pulled = FetchAll(files, (repository / "blobs").string());
    if (!pulled.ok()) return pulled;
    // The first part last: a model is known by it.
    for (size_t i = files.size(); i-- > 0;) {
      const fs::path link = snapshot / (*chosen)[i].path;
      HEADRACE_RETURN_IF_ERROR(PutLink(fs::path(files[i].path).lexically_relative(link.parent_path()), link));
    }
    const fs::path reference = repository / "refs" / "main";
    HEADRACE_RETURN_IF_ERROR(ReplaceFile(reference.string(), listing->commit));
    // Some share their cache.
    std::error_code ignored;
    fs::permissions(reference, fs::perms::group_read | fs::perms::others_read, fs::perm_options::add, ignored);
    pulled->path = (snapshot / chosen->front().path).string();
    return pulled;
  }

  Result<PulledModel> FromAddress(const PullSource& source) {
    const std::string folder = LlamaCacheFolder(getenv_);
    if (folder.empty()) return Status(Code::kInvalidArgument, "there is no folder for models: set HOME or LLAMA_CACHE");
    HEADRACE_RETURN_IF_ERROR(MakeFolder(folder));
    std::vector<FetchedFile> files;
    names_.clear();
    for (const PullSource& part : PartsOf(source)) {
      auto file = ProbeFile(part.url, hub_.access, [this] { return GoOn(); });
      if (!file.ok()) return file.status();
      file->path = (fs::path(folder) / part.file).string();
      names_.push_back(part.file);
      files.push_back(std::move(*file));
    }
    // The first part last.
    std::reverse(files.begin(), files.end());
    std::reverse(names_.begin(), names_.end());
    auto pulled = FetchAll(files, folder);
    if (pulled.ok()) pulled->path = files.back().path;
    return pulled;
  }

  Result<PulledModel> FetchAll(const std::vector<FetchedFile>& files, const std::string& folder) {
    PulledModel pulled;
    uint64_t missing = 0, before = 0;
    pulled.was_there = pulled.verified = true;
    for (const FetchedFile& file : files) {
      pulled.bytes += file.bytes;
      pulled.verified = pulled.verified && !file.sha256.empty();
      if (file.is_there()) continue;
      pulled.was_there = false;
      missing += MissingBytes(file.Download());
    }
    HEADRACE_RETURN_IF_ERROR(CheckRoom(folder, missing));
    if (!pulled.was_there) {
      events_.say(fmt::format(
          "{}{}, {}{} into {}", names_.front(), files.size() > 1 ? fmt::format(" and {} more", files.size() - 1) : "",
          FormatSize(pulled.bytes),
          missing < pulled.bytes ? fmt::format(", of which {} are missing,", FormatSize(missing)) : "", folder));
    }
    for (size_t i = 0; i < files.size(); ++i) {
      const auto on_progress = [&](bool checking, uint64_t bytes) {
        return events_.on_progress({names_[i], checking, before + bytes, pulled.bytes});
      };
      if (!files[i].is_there()) HEADRACE_RETURN_IF_ERROR(Fetch(files[i], hub_.access, on_progress));
      before += files[i].bytes;
    }
    return pulled;
  }

  const PullRequest& request_;
  const Getenv& getenv_;
  const std::string& agent_;
  const PullEvents& events_;
  Hub hub_;
  std::vector<std::string> names_;  // of the files, for people
};

}  // namespace

Result<PulledModel> PullModel(const PullRequest& request, const Getenv& getenv, const std::string& agent,
                              const PullEvents& events) {
  return Pull(request, getenv, agent, events).Run();
}

}  // namespace headrace
