// headrace-make-model: writes a GGUF model of random weights, for benchmarks and tests.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>
#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/size.h"
#include "describe_model.h"
#include "model_file.h"
#include "model_shape.h"

namespace {

using namespace headrace;
using namespace headrace::bench;

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

// The option --type.
std::map<std::string, TypeMix> Types() {
  std::map<std::string, TypeMix> types;
  for (const TypeMixName& known : TypeMixes()) types.emplace(known.name, known.mix);
  return types;
}

int Fail(const Status& status) {
  fmt::print(stderr, "headrace-make-model: {}\n", status.message());
  return status.code() == Code::kCancelled ? 130 : status.code() == Code::kInvalidArgument ? 2 : 1;
}

void ShowProgress(uint64_t done, uint64_t all) {
  fmt::print(stderr, "\r{:3}%  {} of {} ", done * 100 / all, FormatSize(done), FormatSize(all));
  if (done == all) fmt::print(stderr, "\n");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Writes a GGUF model of random weights that llama.cpp loads, with a byte-level tokenizer: a small one, or one of "
      "a published shape.\n"};
  std::string presets = "Presets:\n";
  for (const ModelShape& shape : Presets()) presets += fmt::format("  {:<14} {}\n", shape.name, shape.about);
  presets += "  sparse         a file of --size whose weights are holes: no disk used, weights read as zeros\n";
  app.footer(presets +
             "\nExamples:\n"
             "  headrace-make-model llama-q4_0.gguf\n"
             "  headrace-make-model --type q4_k llama-q4_k.gguf\n"
             "  headrace-make-model --type q8_0 --layers 16 four-gigabytes-q8_0.gguf\n"
             "  headrace-make-model --preset llama-4g --layers 1 one-layer.gguf\n"
             "  headrace-make-model --preset moe-5g --choices drifting mixture.gguf\n"
             "  headrace-make-model --preset gpt-oss-120b gpt-oss.gguf\n"
             "  headrace-make-model --preset glm-4.5-air --sparse shape.gguf       # for headrace plan: nothing but "
             "headers on disk\n"
             "  headrace-make-model --preset deepseek-v3 --layers 4 --experts 16 four-layers.gguf\n"
             "  headrace-make-model --preset sparse --size 400G sparse.gguf");
  std::string path, preset = "llama-4g", type_name, size, choices;
  SmallerShape smaller;
  bool tied = false, sparse = false, quiet = false;
  WriteOptions options;
  app.add_option("FILE", path, "the file to write")->required();
  app.add_option("--preset", preset, "shape of the model, see below")->capture_default_str();
  app.add_option("--type", type_name,
                 "of the matrices: q4_0, q8_0, q6_k, q4_k with a Q6_K output, q4_k_m as llama-quantize mixes it, mxfp4 "
                 "with Q8_0 but for "
                 "experts, dynamic: experts of other sizes in each layer (default: the preset's; q4_0 where it is not "
                 "a published one)")
      ->check(CLI::IsMember(Types(), CLI::ignore_case));
  app.add_option("--size", size, "of a sparse file, for instance 400G (nearest whole layer)");
  app.add_flag("--sparse", sparse, "weights are holes: no disk used, weights read as zeros");
  app.add_option("--layers", smaller.layers, "instead of the preset's number, as the following");
  app.add_option("--width", smaller.width, "embedding length");
  app.add_option("--feed-forward", smaller.feed_forward,
                 "width of the layers between, of an expert and of layers without experts");
  app.add_option("--heads", smaller.heads, "with KV heads in the preset's proportion");
  app.add_option("--experts", smaller.experts, "of each layer");
  app.add_option("--vocabulary", smaller.vocabulary, "tokens");
  app.add_option("--choices", choices,
                 "of a mixture's routers: popular (some experts are, and the token decides) or drifting (a subject "
                 "that changes slowly); "
                 "default: the preset's, popular but for moe-512")
      ->check(CLI::IsMember({"popular", "drifting"}));
  app.add_flag("--tied", tied, "no output.weight: the embedding is used twice");
  app.add_option("--seed", options.seed, "of the random weights")->capture_default_str();
  app.add_option("--threads", options.threads, "that write (default: one per CPU)")->check(CLI::Range(1, 256));
  app.add_flag("--force", options.replace, "replace FILE when it exists");
  app.add_flag("--quiet", quiet, "say nothing but errors");
  CLI11_PARSE(app, argc, argv);

  const bool of_size = preset == "sparse";
  options.sparse = sparse || of_size;
  if (of_size == size.empty()) {
    return Fail(Status(Code::kInvalidArgument,
                       "--preset sparse and --size belong together, for instance --preset sparse --size 400G"));
  }
  Result<ModelShape> shape = FindPreset(of_size ? "tiny" : preset);
  if (!shape.ok()) return Fail(shape.status());
  const TypeMix types = type_name.empty() ? shape->types : Types().at(CLI::detail::to_lower(type_name));
  if (of_size) {
    const auto bytes = ParseSize(size);
    if (!bytes.ok()) return Fail(bytes.status());
    shape = ShapeOfSize(*bytes, types);
    if (!shape.ok()) return Fail(shape.status());
  }
  *shape = Shrink(*shape, smaller);
  if (!choices.empty()) shape->choices = choices == "drifting" ? ChoiceKind::kDrifting : ChoiceKind::kPopular;
  shape->tied = tied || shape->tied;
  const auto model = DescribeModel(*shape, types);
  if (!model.ok()) return Fail(model.status());

  std::signal(SIGINT, [](int) { interrupted = true; });
  std::signal(SIGTERM, [](int) { interrupted = true; });
  options.cancel = &interrupted;
  if (!quiet && ::isatty(STDERR_FILENO) != 0) options.progress = ShowProgress;
  const auto start = std::chrono::steady_clock::now();
  const auto bytes = WriteModel(path, *model, options);
  if (!bytes.ok()) return Fail(bytes.status());
  if (!quiet) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    fmt::print("{}: {}{}, {} layers, {} tensors, {:.1f} s\n", path, FormatSize(*bytes),
               options.sparse ? " (sparse)" : "", shape->all_layers(), model->tensors().size(), seconds);
  }
  return 0;
}
