// headrace-make-model: writes a GGUF model of random weights, for benchmarks and tests.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <map>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/size.h"
#include "model_file.h"
#include "model_shape.h"

namespace {

using namespace headrace;
using namespace headrace::bench;

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

const std::map<std::string, TensorType> kTypes = {
    {"q4_0", TensorType::kQ4_0}, {"q4_k", TensorType::kQ4_K}, {"q6_k", TensorType::kQ6_K}, {"q8_0", TensorType::kQ8_0}};

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
  CLI::App app{"Writes a GGUF model of random weights that llama.cpp loads: Llama, Qwen3-MoE, Gemma 3n or GLM 4.5 architecture, byte-level tokenizer.\n"};
  std::string presets = "Presets:\n";
  for (const ModelShape& shape : Presets()) presets += fmt::format("  {:<12} {}\n", shape.name, shape.about);
  presets += "  sparse       a file of --size whose weights are holes: no disk used, weights read as zeros\n";
  app.footer(presets +
             "\nExamples:\n"
             "  headrace-make-model llama-q4_0.gguf\n"
             "  headrace-make-model --type q4_k llama-q4_k.gguf\n"
             "  headrace-make-model --type q8_0 --layers 16 four-gigabytes-q8_0.gguf\n"
             "  headrace-make-model --preset llama-4g --layers 1 one-layer.gguf\n"
             "  headrace-make-model --preset sparse --size 400G sparse.gguf");
  std::string path, preset = "llama-4g", type_name = "q4_0", size;
  uint32_t layers = 0;
  bool tied = false, quiet = false;
  WriteOptions options;
  app.add_option("FILE", path, "the file to write")->required();
  app.add_option("--preset", preset, "shape of the model, see below")->capture_default_str();
  app.add_option("--type", type_name, "of the matrices: q4_0, q8_0, q6_k, or q4_k with a Q6_K output")
      ->check(CLI::IsMember(kTypes, CLI::ignore_case))->capture_default_str();
  app.add_option("--size", size, "of a sparse file, for instance 400G (nearest whole layer)");
  app.add_option("--layers", layers, "instead of the preset's number");
  app.add_flag("--tied", tied, "no output.weight: the embedding is used twice");
  app.add_option("--seed", options.seed, "of the random weights")->capture_default_str();
  app.add_option("--threads", options.threads, "that write (default: one per CPU)")->check(CLI::Range(1, 256));
  app.add_flag("--force", options.replace, "replace FILE when it exists");
  app.add_flag("--quiet", quiet, "say nothing but errors");
  CLI11_PARSE(app, argc, argv);

  const TensorType type = kTypes.at(CLI::detail::to_lower(type_name));
  options.sparse = preset == "sparse";
  if (options.sparse == size.empty()) {
    return Fail(Status(Code::kInvalidArgument, "--preset sparse and --size belong together, for instance --preset sparse --size 400G"));
  }
  Result<ModelShape> shape = FindPreset(options.sparse ? "tiny" : preset);
  if (options.sparse) {
    const auto bytes = ParseSize(size);
    if (!bytes.ok()) return Fail(bytes.status());
    shape = ShapeOfSize(*bytes, type);
  }
  if (!shape.ok()) return Fail(shape.status());
  if (layers > 0) shape->layers = layers;
  shape->tied = tied || shape->tied;
  const auto model = DescribeModel(*shape, type);
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
    fmt::print("{}: {}{}, {} layers, {} tensors, {:.1f} s\n", path, FormatSize(*bytes), options.sparse ? " (sparse)" : "",
               shape->layers, model->tensors().size(), seconds);
  }
  return 0;
}
