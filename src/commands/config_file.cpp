#include "commands/config_file.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "base/config_directory.h"
#include "base/size.h"

namespace headrace::cli {
namespace {

bool IsSet(const std::string& variable) {
  const char* value = std::getenv(variable.c_str());
  return value != nullptr && *value != '\0';
}

// "kv-dir" and HEADRACE_KV_DIR are the same setting.
std::string VariableOf(const std::string& option) {
  std::string name = "HEADRACE_" + option;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return c == '-' ? '_' : static_cast<char>(std::toupper(c)); });
  return name;
}

std::string DefaultPath() {
  const std::string folder = ConfigDirectory();
  return folder.empty() ? "" : folder + "/config.toml";
}

constexpr uint64_t kMostBytes = kMiB;

class ConfigFile : public CLI::ConfigTOML {
 public:
  explicit ConfigFile(CLI::App& app) : app_(app) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::istringstream text(TextOf(input));
    std::vector<CLI::ConfigItem> taken;
    for (CLI::ConfigItem& item : ConfigBase::from_config(text)) {
      const bool section_mark = item.name == "++" || item.name == "--";
      if (!section_mark) Take(std::move(item), taken);
    }
    return taken;
  }

 private:
  // Without the mark that some editors put before it. A device, or another file taken for a configuration, must not be
  // read without an end.
  std::string TextOf(std::istream& input) const {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    std::string text(kMostBytes + 1, '\0');
    input.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(input.gcount()));
    if (text.size() > kMostBytes) {
      throw CLI::ConfigError(fmt::format("{}: too long for a file with options: more than {}",
                                         app_.get_config_ptr()->as<std::string>(), FormatSize(kMostBytes)));
    }
    if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
    return text;
  }

  // Hands it to the command that was chosen, if it is for that and nothing goes before.
  void Take(CLI::ConfigItem item, std::vector<CLI::ConfigItem>& taken) const {
    const std::string where = fmt::format("{}", fmt::join(item.parents, "."));
    bool known = false;
    for (CLI::App* command : app_.get_subcommands({})) {
      if (!where.empty() && command->get_name() != where) continue;
      CLI::Option* option = command->get_option_no_throw("--" + item.name);
      if (option == nullptr || option == command->get_help_ptr() || option == command->get_help_all_ptr()) continue;
      known = true;
      if (!command->parsed() || option->count() > 0 || IsSet(VariableOf(item.name))) continue;
      const auto excludes = option->get_excludes();
      if (std::any_of(excludes.begin(), excludes.end(), [](const CLI::Option* other) { return other->count() > 0; }))
        continue;
      CLI::ConfigItem& mine = taken.emplace_back(item);
      mine.parents = {command->get_name()};
    }
    if (known) return;
    throw CLI::ConfigError(fmt::format("{}: {} option --{}", app_.get_config_ptr()->as<std::string>(),
                                       where.empty() ? "no command has an" : fmt::format("headrace {} has no", where),
                                       item.name));
  }

  CLI::App& app_;
};

}  // namespace

void SetUpConfigFile(CLI::App& app) {
  const char* named = std::getenv("HEADRACE_CONFIG");
  const std::string path = named != nullptr ? named : DefaultPath();
  // A file that was named must be there; one that is there must be readable.
  const bool required =
      !path.empty() && (named != nullptr || (::access(path.c_str(), F_OK) == 0 && ::access(path.c_str(), R_OK) != 0));
  app.set_config("--config", path, "File with options (also HEADRACE_CONFIG; default: ~/.config/headrace/config.toml)",
                 required)
      ->type_name("FILE");
  app.config_formatter(std::make_shared<ConfigFile>(app));
  app.fallthrough();
}

}  // namespace headrace::cli
