#include "setup/model_source.h"

#include <filesystem>

#include <fmt/format.h>

#include "report/exit_status.h"

namespace headrace::cli {
namespace {

std::string NotHere(const std::string& name) { return fmt::format("{} is not downloaded yet", OneLine(name)); }

class Finder {
 public:
  Finder(ProgramKind kind, const EngineArguments& arguments, const DownloadCache& cache)
      : kind_(kind), arguments_(arguments), cache_(cache) {}

  ModelSource Find() {
    const auto docker = Value(OptionId::kDockerRepository), repository = Value(OptionId::kRepository),
               url = Value(OptionId::kModelUrl);
    if (arguments_.Has(OptionId::kTellsAndEnds)) return {};
    if (docker) {
      Take(OptionId::kModel, *docker, cache_.FindDockerModel(*docker));
    } else if (repository) {
      TakeRepository(*repository);
    } else if (url) {
      TakeUrl(*url);
    } else {
      found_.model = Value(OptionId::kModel).value_or("");
      if (kind_ == ProgramKind::kServer && found_.model.empty()) Route("it loads models when it is asked for them");
    }
    if (!found_.router) TakeOthers();
    if (found_.downloaded && found_.unknown.empty())
      found_.model = found_.arguments.Value(OptionId::kModel).value_or(found_.model);
    if (!found_.unknown.empty()) found_.model.clear();
    return found_;
  }

 private:
  std::optional<std::string> Value(OptionId option) const {
    auto value = arguments_.Value(option);
    return value && value->empty() ? std::nullopt : value;
  }
  void Route(std::string why) {
    found_.router = true;
    found_.unknown = std::move(why);
  }
  void Take(OptionId option, const std::string& name, const std::optional<std::string>& path) {
    found_.downloaded = true;
    if (path) {
      found_.arguments.Append(option, *path);
    } else if (found_.unknown.empty()) {
      found_.unknown = NotHere(name);
    }
  }
  void TakeRepository(const std::string& name) {
    if (kind_ == ProgramKind::kServer && cache_.HasPreset(name))
      return Route(fmt::format("{} has settings for models of its own", OneLine(name)));
    const auto cached = cache_.FindRepository(name, Value(OptionId::kRepositoryFile).value_or(""));
    Take(OptionId::kModel, name, cached ? std::optional(cached->path) : std::nullopt);
    if (cached && !cached->projector.empty() &&
        !arguments_.HasAny({OptionId::kProjector, OptionId::kProjectorUrl, OptionId::kNoProjector}))
      found_.arguments.Append(OptionId::kProjector, cached->projector);
  }
  // With a path it is downloaded there.
  void TakeUrl(const std::string& url) {
    std::optional<std::string> path = Value(OptionId::kModel);
    std::error_code error;
    if (!path) {
      path = cache_.FindUrl(url);
    } else if (!std::filesystem::is_regular_file(*path, error)) {
      path.reset();
    }
    Take(OptionId::kModel, url, path);
  }
  void TakeOthers() {
    if (const auto draft = Value(OptionId::kDraftRepository)) {
      const auto cached = cache_.FindRepository(*draft, "");
      Take(OptionId::kDraftModel, *draft, cached ? std::optional(cached->path) : std::nullopt);
    }
    if (const auto projector = Value(OptionId::kProjectorUrl))
      Take(OptionId::kProjector, *projector, cache_.FindUrl(*projector));
  }

  const ProgramKind kind_;
  const EngineArguments& arguments_;
  const DownloadCache& cache_;
  ModelSource found_;
};

}  // namespace

ModelSource FindModelSource(ProgramKind kind, const EngineArguments& arguments, const DownloadCache& cache) {
  return Finder(kind, arguments, cache).Find();
}

}  // namespace headrace::cli
