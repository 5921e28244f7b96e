#include "setup/model_source.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "engine/engine_memory.h"
#include "report/exit_status.h"

namespace headrace::cli {
namespace {

using Words = std::vector<std::string>;

constexpr std::initializer_list<const char*> kModelNames = {"-m", "--model"};
constexpr std::initializer_list<const char*> kRepository = {"-hf", "-hfr", "--hf-repo"};
constexpr std::initializer_list<const char*> kRepositoryFile = {"-hff", "--hf-file"};
constexpr std::initializer_list<const char*> kUrl = {"-mu", "--model-url"};
constexpr std::initializer_list<const char*> kDocker = {"-dr", "--docker-repo"};
constexpr std::initializer_list<const char*> kDraftRepository = {"--spec-draft-hf", "-hfd", "-hfrd", "--hf-repo-draft"};
constexpr std::initializer_list<const char*> kProjectorUrl = {"-mmu", "--mmproj-url"};
constexpr std::initializer_list<const char*> kProjectorSaid = {"-mm",          "--mmproj",    "-mmu",
                                                               "--mmproj-url", "--no-mmproj", "--no-mmproj-auto"};
// The program says something and ends.
constexpr std::initializer_list<const char*> kAnswers = {
    "-h", "--help", "--usage", "--version", "--license", "-cl", "--cache-list", "--list-devices", "--completion-bash"};

bool HasAny(const Words& arguments, std::initializer_list<const char*> names) {
  return std::any_of(arguments.begin(), arguments.end(), [&](const std::string& word) {
    return std::find(names.begin(), names.end(), word) != names.end();
  });
}

std::string NotHere(const std::string& name) { return fmt::format("{} is not downloaded yet", OneLine(name)); }

class Finder {
 public:
  Finder(ProgramKind kind, const Words& arguments, const DownloadCache& cache)
      : kind_(kind), arguments_(arguments), cache_(cache) {}

  ModelSource Find() {
    const auto docker = Value(kDocker), repository = Value(kRepository), url = Value(kUrl);
    if (HasAny(arguments_, kAnswers)) return {};
    if (docker) {
      Take("-m", *docker, cache_.FindDockerModel(*docker));
    } else if (repository) {
      TakeRepository(*repository);
    } else if (url) {
      TakeUrl(*url);
    } else {
      found_.model = Value(kModelNames).value_or("");
      if (kind_ == ProgramKind::kServer && found_.model.empty()) Route("it loads models when it is asked for them");
    }
    if (!found_.router) TakeOthers();
    if (found_.downloaded && found_.unknown.empty())
      found_.model = OptionValue(found_.arguments, kModelNames).value_or(found_.model);
    if (!found_.unknown.empty()) found_.model.clear();
    return found_;
  }

 private:
  std::optional<std::string> Value(std::initializer_list<const char*> names) const {
    auto value = OptionValue(arguments_, names);
    return value && value->empty() ? std::nullopt : value;
  }
  void Route(std::string why) {
    found_.router = true;
    found_.unknown = std::move(why);
  }
  void Take(const char* option, const std::string& name, const std::optional<std::string>& path) {
    found_.downloaded = true;
    if (path) {
      found_.arguments.insert(found_.arguments.end(), {option, *path});
    } else if (found_.unknown.empty()) {
      found_.unknown = NotHere(name);
    }
  }
  void TakeRepository(const std::string& name) {
    if (kind_ == ProgramKind::kServer && cache_.HasPreset(name))
      return Route(fmt::format("{} has settings for models of its own", OneLine(name)));
    const auto cached = cache_.FindRepository(name, Value(kRepositoryFile).value_or(""));
    Take("-m", name, cached ? std::optional(cached->path) : std::nullopt);
    if (cached && !cached->projector.empty() && !HasAny(arguments_, kProjectorSaid))
      found_.arguments.insert(found_.arguments.end(), {"-mm", cached->projector});
  }
  // With a path it is downloaded there.
  void TakeUrl(const std::string& url) {
    std::optional<std::string> path = Value(kModelNames);
    std::error_code error;
    if (!path) {
      path = cache_.FindUrl(url);
    } else if (!std::filesystem::is_regular_file(*path, error)) {
      path.reset();
    }
    Take("-m", url, path);
  }
  void TakeOthers() {
    if (const auto draft = Value(kDraftRepository)) {
      const auto cached = cache_.FindRepository(*draft, "");
      Take("-md", *draft, cached ? std::optional(cached->path) : std::nullopt);
    }
    if (const auto projector = Value(kProjectorUrl)) Take("-mm", *projector, cache_.FindUrl(*projector));
  }

  const ProgramKind kind_;
  const Words& arguments_;
  const DownloadCache& cache_;
  ModelSource found_;
};

}  // namespace

ModelSource FindModelSource(ProgramKind kind, const std::vector<std::string>& arguments, const DownloadCache& cache) {
  return Finder(kind, arguments, cache).Find();
}

}  // namespace headrace::cli
