#include "engine/engine_program.h"

#include <algorithm>
#include <filesystem>
#include <string_view>

namespace headrace::cli {
namespace {

struct Name {
  std::string_view name;
  ProgramKind kind;
};

constexpr std::string_view kProgramPrefix = "llama-", kOneForAll = "llama";
constexpr Name kProgramNames[] = {{"llama-server", ProgramKind::kServer},
                                  {"llama-cli", ProgramKind::kGenerator},
                                  {"llama-completion", ProgramKind::kGenerator},
                                  {"llama-mtmd-cli", ProgramKind::kGenerator}};
constexpr Name kCommands[] = {{"serve", ProgramKind::kServer},         {"server", ProgramKind::kServer},
                              {"cli", ProgramKind::kGenerator},        {"client", ProgramKind::kGenerator},
                              {"completion", ProgramKind::kGenerator}, {"complete", ProgramKind::kGenerator},
                              {"bench", ProgramKind::kEngine},         {"batched-bench", ProgramKind::kEngine},
                              {"perplexity", ProgramKind::kEngine},    {"fit-params", ProgramKind::kEngine},
                              {"quantize", ProgramKind::kEngine}};

template <size_t kCount>
ProgramKind Find(const Name (&names)[kCount], std::string_view name, ProgramKind otherwise) {
  const auto found =
      std::find_if(std::begin(names), std::end(names), [&](const Name& candidate) { return candidate.name == name; });
  return found == std::end(names) ? otherwise : found->kind;
}

}  // namespace

EngineProgram RecognizeProgram(const std::string& path, const std::vector<std::string>& arguments) {
  const std::string name = std::filesystem::path(path).filename().string();
  if (name.starts_with(kProgramPrefix)) return {Find(kProgramNames, name, ProgramKind::kEngine), 0};
  if (name != kOneForAll || arguments.empty()) return {};
  const ProgramKind kind = Find(kCommands, arguments.front(), ProgramKind::kOther);
  return {kind, kind == ProgramKind::kOther ? 0u : 1u};
}

}  // namespace headrace::cli
