// headrace-shared-experts: how many experts tokens choose that share a pass, beside what is predicted for it
// (plan/expert_demand.h).
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "plan/expert_demand.h"
#include "shared_experts.h"

int main(int argc, char** argv) {
  using namespace headrace;
  CLI::App app{
      "Counts the experts of a layer that tokens choose together: neighbours of one text, and tokens of as many texts. "
      "Writes CSV.\n"};
  app.footer("Example:\n  tar -xf bench/traces/held-out.tar.xz && headrace-shared-experts *.trace");
  std::vector<std::string> paths;
  uint64_t experts = 128;
  app.add_option("TRACE", paths, "a text's choices, written with HEADRACE_TRACE; as many as there are")->required();
  double share = 0;
  app.add_option("--share", share, "of all experts that a cache holds: counts those that are not there")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--experts", experts, "of a layer")->check(CLI::PositiveNumber)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  std::vector<TextChoices> texts;
  for (const std::string& path : paths) {
    const auto trace = ReadRouterTrace(path);
    if (!trace.ok()) {
      fmt::print(stderr, "headrace-shared-experts: {}\n", trace.status().message());
      return 1;
    }
    texts.push_back(TextChoices::Of(*trace));
  }
  const auto missed = [&](size_t tokens) {
    double sum = 0;
    for (size_t i = 0; i < texts.size(); ++i)
      sum += MissesTogether(std::span(texts).subspan(i, 1), tokens, experts, share);
    return sum / static_cast<double>(texts.size());
  };
  const auto of_neighbours = [&](size_t tokens) {
    double sum = 0;
    for (const TextChoices& text : texts) sum += ExpertsOfNeighbours(text, tokens);
    return sum / static_cast<double>(texts.size());
  };
  const double one = of_neighbours(1);
  // In thousandths of an expert.
  const ExpertDemand demand(experts * 1000, static_cast<uint64_t>(one * 1000));
  fmt::print("tokens,one_text,predicted,texts,predicted_texts\n");
  for (const size_t tokens : {1, 2, 4, 8, 16, 32}) {
    const auto width = static_cast<double>(tokens), cached = share * static_cast<double>(experts) * 1000;
    if (share > 0) {
      const bool enough = tokens <= texts.size();
      fmt::print("{},{:.1f},{:.1f},{},{:.1f}\n", tokens, missed(tokens), demand.AbsentBytes({width}, cached) / 1000,
                 enough ? fmt::format("{:.1f}", MissesTogether(std::span(texts).first(tokens), 1, experts, share)) : "",
                 demand.AbsentBytes({width, width}, cached) / 1000);
      continue;
    }
    fmt::print("{},{:.1f},{:.1f},{:.1f},{:.1f}\n", tokens, of_neighbours(tokens), demand.Bytes({width}) / 1000,
               ExpertsOfTexts(texts, tokens), demand.Bytes({width, width}) / 1000);
  }
  return 0;
}
