#include "run/server_choice.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "llama_server/lone_server.h"

namespace headrace::run {
namespace {

// "-n", "--temp"; but "-1", "-0.5" and "-" are values.
bool IsOption(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && std::isdigit(static_cast<unsigned char>(word[1])) == 0 && word[1] != '.';
}

// What llama-server knows too, but with which it would not give one answer of this model.
constexpr const char* kOther[] = {"--embedding", "--embeddings", "--rerank", "--reranking", "-np", "--parallel"};

}  // namespace

std::string WhyNotServer(const std::vector<std::string>& rest, const std::vector<cli::EngineOption>& defaults,
                         const cli::OptionNames& known) {
  for (const std::string& word : rest) {
    if (!IsOption(word)) continue;
    const bool other =
        std::any_of(std::begin(kOther), std::end(kOther), [&](const char* name) { return word == name; });
    if (other || serve::IsServersOwn(word)) return fmt::format("{} would make it do something else", word);
    if (!known.Has(word)) return fmt::format("it does not know {}", word);
  }
  for (const cli::EngineOption& option : defaults) {
    if (std::none_of(option.names.begin(), option.names.end(), [&](const char* name) { return known.Has(name); })) {
      return fmt::format("it does not know {}", option.names.front());
    }
  }
  return "";
}

}  // namespace headrace::run
