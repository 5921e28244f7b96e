#include "setup/modelfile_use.h"

#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/shown.h"
#include "base/small_file.h"
#include "engine/file_arguments.h"
#include "models/modelfile_lines.h"
#include "setup/model_name.h"

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;

// A path in a Modelfile, relative to it; "~/" is the home.
std::string Resolve(const std::string& path, const std::string& modelfile) {
  if (path.starts_with("~/")) {
    const char* home = std::getenv("HOME");
    return home == nullptr ? path : (fs::path(home) / path.substr(2)).string();
  }
  return (fs::path(modelfile).parent_path() / path).string();
}

Status NoFile(const std::string& modelfile, const char* keyword, const std::string& written,
              const std::string& resolved) {
  return Status(Code::kNotFound,
                fmt::format("{}: {} {} is not a file ({}); headrace does not fetch from Ollama's library: write the "
                            "path of a GGUF file, or a name that headrace list shows",
                            modelfile, keyword, Shown(written), resolved));
}

bool IsFile(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

}  // namespace

std::string NoModelText(const char* command) {
  return fmt::format(
      "a model is needed: headrace {0} MODEL, or --modelfile FILE with a FROM line; see headrace {0} --help", command);
}

Result<ModelfileUse> FindModelfile(const std::string& model, const std::string& modelfile, bool look_beside) {
  ModelfileUse use;
  use.model = model;
  if (model.empty() && modelfile.empty()) {
    return Status(Code::kInvalidArgument,
                  "a model is needed: name a GGUF file, or one with --modelfile FILE that has a FROM line");
  }
  const bool beside = modelfile.empty();
  const std::string path = beside ? (fs::path(model).parent_path() / "Modelfile").string() : modelfile;
  if (beside && (!look_beside || !IsFile(path))) return use;
  const auto text = ReadSmallFile(path, kMostModelfileBytes);
  auto file = text.ok() ? ParseModelfile(*text, path) : Result<Modelfile>(text.status());
  if (!file.ok()) {
    return beside ? Status(file.status().code(), file.status().message() + " (--no-modelfile leaves this file out)")
                  : file.status();
  }
  const std::string from = file->from.empty() ? "" : Resolve(file->from, path);
  std::error_code error;
  // One beside the model may be of another one.
  if (beside && !from.empty() && !fs::equivalent(from, model, error)) {
    if (!IsFile(from)) {
      use.left_out = fmt::format(
          "{} is ignored: its FROM {} is not a file, so it may belong to another model; --modelfile uses it anyway",
          path, Shown(file->from));
    }
    return use;
  }
  if (model.empty()) {
    if (from.empty())
      return Status(Code::kInvalidArgument,
                    path + " has no FROM line; add one, or name the model: headrace run MODEL --modelfile FILE");
    use.model = from;
    if (!IsFile(from)) {
      auto named = ResolveModel(file->from);
      if (!named.ok() || !IsFile(*named)) return NoFile(path, "FROM", file->from, from);
      use.model = std::move(*named);
    }
  }
  if (!file->adapter.empty()) {
    use.adapter = Resolve(file->adapter, path);
    if (!IsFile(use.adapter)) return NoFile(path, "ADAPTER", file->adapter, use.adapter);
  }
  use.path = path;
  use.file = std::move(*file);
  return use;
}

FlashOptions WithFlash(FlashOptions options, const Modelfile& file) {
  if (file.flash_mode && options.flash_mode.empty()) options.flash_mode = ToString(*file.flash_mode);
  if (file.flash_ram_gb > 0 && options.weights_ram.empty())
    options.weights_ram = fmt::format("{:.6f}G", file.flash_ram_gb);
  if (options.vram.empty()) options.vram = file.flash_vram;
  return options;
}

Result<std::vector<EngineOption>> EngineOptionsOf(const ModelfileUse& use, const Catalogue& catalogue) {
  std::vector<EngineOption> options = use.file.options;
  if (!use.adapter.empty()) options.push_back({{"--lora"}, ListField(use.adapter)});
  if (const uint64_t experts = use.file.experts_used; experts > 0) {
    if (catalogue.experts == 0 || catalogue.architecture.empty()) {
      return Status(
          Code::kInvalidArgument,
          fmt::format("{}: FLASH_TOP_K has no meaning for this model, which is not a mixture of experts; leave it out",
                      use.path));
    }
    if (experts > catalogue.experts) {
      return Status(Code::kInvalidArgument, fmt::format("{}: FLASH_TOP_K {} is more than the model's {} experts",
                                                        use.path, experts, catalogue.experts));
    }
    options.push_back({{"--override-kv"}, fmt::format("{}.expert_used_count=int:{}", catalogue.architecture, experts)});
  }
  return options;
}

std::vector<std::string> DescribeModelfile(const ModelfileUse& use, const Catalogue& catalogue) {
  if (use.path.empty()) return use.left_out.empty() ? std::vector<std::string>() : std::vector{use.left_out};
  std::vector<std::string> lines = {
      use.file.settings.empty()
          ? fmt::format("{} is used, but sets nothing", use.path)
          : fmt::format("from {}, unless an option overrides it: {}", use.path, fmt::join(use.file.settings, ", "))};
  lines.insert(lines.end(), use.file.warnings.begin(), use.file.warnings.end());
  if (use.file.experts_used > 0 && use.file.experts_used != catalogue.experts_used) {
    lines.push_back(fmt::format("FLASH_TOP_K {} instead of the model's {} experts for each token: its answers change",
                                use.file.experts_used, catalogue.experts_used));
  }
  return lines;
}

}  // namespace headrace::cli
