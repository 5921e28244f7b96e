#include "serve/models/name_aliases.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/letters.h"
#include "models/model_names.h"

namespace headrace::serve {
namespace {

const NameAlias* FindAlias(const std::vector<NameAlias>& aliases, const std::string& name) {
  const auto it = std::find_if(aliases.begin(), aliases.end(),
                               [&](const NameAlias& alias) { return EqualIgnoringCase(alias.name, name); });
  return it == aliases.end() ? nullptr : &*it;
}

}  // namespace

Result<std::vector<NameAlias>> ParseAliases(const std::vector<std::string>& texts) {
  std::vector<NameAlias> aliases;
  for (const std::string& text : texts) {
    const size_t equals = std::min(text.find('='), text.size());
    const NameAlias alias{text.substr(0, equals), text.substr(std::min(equals + 1, text.size()))};
    const bool control =
        std::any_of(alias.name.begin(), alias.name.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; });
    if (alias.name.empty() || alias.model.empty() || control) {
      return Status(Code::kInvalidArgument, fmt::format("--alias {} is not understood; write NAME=MODEL, for instance "
                                                        "--alias gpt-4o=qwen3-30b; headrace list shows the models",
                                                        text));
    }
    if (FindAlias(aliases, alias.name) != nullptr)
      return Status(Code::kInvalidArgument, fmt::format("--alias names {} twice; leave one out", alias.name));
    aliases.push_back(alias);
  }
  return aliases;
}

std::string WithoutAlias(const std::vector<NameAlias>& aliases, const std::string& name) {
  const NameAlias* alias = FindAlias(aliases, name);
  if (alias == nullptr) alias = FindAlias(aliases, WithoutLatest(name));
  return alias == nullptr ? name : alias->model;
}

}  // namespace headrace::serve
