// headrace-make-trace: routers' choices with a given skew and drift, for replaying policies (headrace-replay).
#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "experts/router_trace.h"
#include "routing.h"

int main(int argc, char** argv) {
  using namespace headrace;
  CLI::App app{"Writes a trace of routers' choices with a given skew and drift.\n"};
  std::string kinds = "Kinds:\n";
  for (const RoutingKind& kind : RoutingKinds()) kinds += fmt::format("  {:<10} {}\n", kind.name, kind.about);
  app.footer(kinds +
             "\nExamples:\n"
             "  headrace-make-trace trace; headrace-replay trace\n"
             "  headrace-make-trace --kind drifting --layers 2 trace\n"
             "  headrace-make-trace --lasting 0.3 --drifting 0.5 --memory 0.8 --topic-tokens 300 trace");
  Routing routing;
  std::string path, kind_name = RoutingKinds().front().name;
  // Before the other options, which change single numbers of it.
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string(argv[i]) == "--kind") kind_name = argv[i + 1];
  }
  std::vector<std::string> names;
  for (const RoutingKind& kind : RoutingKinds()) {
    names.emplace_back(kind.name);
    if (kind_name == kind.name) routing = kind.routing;
  }
  app.add_option("TRACE", path, "the file to write")->required();
  app.add_option("--kind", kind_name, "see below; the other options change single numbers of it")
      ->capture_default_str()
      ->check(CLI::IsMember(names));
  app.add_option("--layers", routing.layers)->capture_default_str()->check(CLI::Range(1, 1024));
  app.add_option("--experts", routing.experts, "of each layer")->capture_default_str()->check(CLI::Range(1, 4096));
  app.add_option("--used", routing.used, "experts for each token")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--tokens", routing.tokens)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--lasting", routing.lasting, "share of an expert's score that stays: skew")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--drifting", routing.drifting, "share that changes slowly")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--memory", routing.memory, "what of the drifting share remains at the next token")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--topic-tokens", routing.topic_tokens, "tokens after which other experts are popular; 0: never")
      ->capture_default_str();
  app.add_option("--seed", routing.seed)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (routing.used > routing.experts || routing.lasting + routing.drifting > 1) {
    fmt::print(stderr,
               "headrace-make-trace: --used is at most --experts, and the shares --lasting and --drifting together at "
               "most 1\n");
    return 1;
  }
  auto trace = RouterTraceWriter::Create(path);
  if (!trace.ok()) {
    fmt::print(stderr, "headrace-make-trace: {}\n", trace.status().message());
    return 1;
  }
  for (const RouterStep& step : Route(routing)) (*trace)->Write(step.layer, step.experts);
  return 0;
}
