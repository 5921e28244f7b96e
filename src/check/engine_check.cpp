#include "check/engine_check.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/size.h"
#include "check/engine_answer.h"

namespace headrace::check {
namespace {

// Of answers that are not the same.
std::string Difference(const EngineAnswer& stock, const EngineAnswer& streamed) {
  if (stock.text != streamed.text)
    return fmt::format("different text: \"{}\" instead of \"{}\"", streamed.text, stock.text);
  return "the same text, but different probabilities";
}

// The same text with the same passes, on the processor, whatever else the machine has.
std::vector<std::string> Arguments(const CheckCase& test, const cli::OptionNames& known) {
  std::vector<std::string> arguments{"-m", test.model, "-c", "512", "-np", "1", "-b", "64", "-ub", "64"};
  const auto add = [&](std::initializer_list<const char*> words) {
    if (known.Has(*words.begin())) arguments.insert(arguments.end(), words.begin(), words.end());
  };
  add({"-dev", "none"});
  add({"--no-webui"});
  add({"--no-warmup"});
  if (test.kernels == Kernels::kPlain) add({"--no-repack"});
  return arguments;
}

}  // namespace

Result<std::vector<CheckCase>> CheckCases(const cli::SearchPaths& paths) {
  std::vector<CheckCase> cases;
  for (const auto& [name, file] :
       {std::pair{"dense model", "austen-dense-q4_0.gguf"}, {"mixture of experts", "austen-moe-q4_0.gguf"}}) {
    const auto model = cli::LocateBundledModel(file, paths);
    if (!model.ok()) return model.status();
    for (const auto& [kernels, how] : {std::pair{Kernels::kPlain, "plain"}, {Kernels::kRepack, "repacked"}}) {
      cases.push_back({fmt::format("{}, {} kernels", name, how), *model, kernels, 5 * kMiB});
    }
  }
  return cases;
}

CaseResult RunCase(const CheckCase& test, const cli::EngineSetup& engine, const cli::OptionNames& known) {
  CaseResult result;
  serve::LoneServerSpec server;
  server.label = test.name;
  server.program = engine.program;
  server.arguments = Arguments(test, known);
  server.own_group = false;
  const auto stock = AskEngine(server, result.signal);
  if (!stock.ok()) {
    result.text = "without streaming: " + stock.status().message();
    return result;
  }
  server.library = engine.library;
  server.config.flash_mode = FlashMode::kOn;
  server.config.process_bytes = 0;
  server.config.weights_bytes = test.weights_bytes;
  server.config.kernels = test.kernels;
  server.config.remember = false;
  const auto streamed = AskEngine(std::move(server), result.signal);
  if (!streamed.ok()) {
    result.text = streamed.status().message();
  } else if (!streamed->why_not_streaming.empty()) {
    result.text = "nothing was streamed: " + streamed->why_not_streaming;
  } else if (streamed->text != stock->text || streamed->probabilities != stock->probabilities) {
    result.outcome = Outcome::kDiffers;
    result.text = Difference(*stock, *streamed);
  } else {
    result.outcome = Outcome::kSame;
    result.text = fmt::format("the same, {} read", FormatSize(streamed->bytes_read));
  }
  return result;
}

cli::EngineVerdict Judge(const std::vector<CaseResult>& results, int64_t now) {
  const auto count = [&](Outcome outcome) {
    return std::count_if(results.begin(), results.end(),
                         [&](const CaseResult& result) { return result.outcome == outcome; });
  };
  const auto same = count(Outcome::kSame), differ = count(Outcome::kDiffers);
  std::string text = fmt::format("{} of {} the same with streamed weights as without", same, results.size());
  if (differ > 0) text += fmt::format(", {} different", differ);
  for (const CaseResult& result : results) {
    if (result.outcome == Outcome::kSame) continue;
    text += "; " + result.text;
    break;
  }
  return {now, same == static_cast<std::ptrdiff_t>(results.size()), std::move(text)};
}

}  // namespace headrace::check
