// headrace pull: fetches a model.
#include "commands/pull_command.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/say.h"
#include "base/size.h"
#include "commands/transfer_speed.h"
#include "models/model_files.h"
#include "models/places.h"
#include "models/pull.h"
#include "process/stop_signals.h"
#include "report/exit_status.h"
#include "report/output.h"
#include "report/progress_line.h"
#include "report/time_text.h"

namespace headrace::cli {
namespace {

constexpr const char* kPullExamples = R"(
Examples:
  headrace pull hf:ggml-org/gemma-3-4b-it-GGUF           Q4_K_M if there, else Q8_0, else the first type
  headrace pull hf:ggml-org/gemma-3-4b-it-GGUF:Q8_0      this type
  headrace pull https://example.org/models/model-Q4_0.gguf
  HF_TOKEN=hf_... headrace pull hf:google/gemma-3-4b-it-qat-q4_0-gguf      a restricted model

pull fetches all parts of a split model, and the projector beside it, several ranges at a time. After Ctrl-C, a broken
connection or a full disk, the same command continues where it stopped. A file gets its name only when it is complete and
its SHA-256 is verified.

Models of the hub go into the hub's own cache (HF_HUB_CACHE, HF_HOME, else ~/.cache/huggingface/hub), where other programs
find them. Models from a URL go into llama.cpp's cache (LLAMA_CACHE, else ~/.cache/llama.cpp). HF_ENDPOINT names
another hub than https://huggingface.co. headrace sends HF_TOKEN to the hub only. docs/models.md says more.
)";

using Clock = std::chrono::steady_clock;
constexpr auto kLineTime = std::chrono::seconds(15);

// How far it is: a line that is replaced on a terminal, else one now and then.
class PullDisplay {
 public:
  void Show(const PullProgress& progress) {
    if (progress.file.empty()) return;
    const auto now = Clock::now();
    if (!progress.checking) speed_.Add(std::chrono::duration<double>(now - begin_).count(), progress.done_bytes);
    if (terminal_ && now - shown_ >= std::chrono::milliseconds(200)) {
      line_.Show(Text(progress));
      shown_ = now;
    } else if (!terminal_ && now - shown_ >= kLineTime) {
      Say(Text(progress));
      shown_ = now;
    }
  }
  void Clear() { line_.Show(""); }

 private:
  std::string Text(const PullProgress& progress) const {
    const double part = progress.all_bytes == 0 ? 0
                                                : 100.0 * static_cast<double>(progress.done_bytes) /
                                                      static_cast<double>(progress.all_bytes);
    std::string text =
        fmt::format("{} of {}, {:.0f} %", FormatSize(progress.done_bytes), FormatSize(progress.all_bytes), part);
    if (progress.checking) return text + ", checking the SHA-256";
    const double speed = speed_.bytes_per_s();
    if (speed <= 0) return text;
    return text + fmt::format(", {:.1f} MB/s, {} left", speed / 1e6,
                              TimeText(static_cast<double>(progress.all_bytes - progress.done_bytes) / speed));
  }

  const bool terminal_ = isatty(STDERR_FILENO) == 1;
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point shown_ = begin_;
  TransferSpeed speed_;
  ProgressLine line_;
};

struct PullOptions {
  PullRequest request;
  bool no_projector = false;
};

// What `headrace list` calls it.
std::string NameOf(const std::string& path, const Getenv& getenv) {
  for (const ModelFile& model : FindModelFiles(MachinePlaces(getenv), {})) {
    if (model.path == path) return model.id;
  }
  return path;
}

int PullNow(PullOptions options) {
  options.request.projector = !options.no_projector;
  const auto getenv = [](const char* name) { return std::getenv(name); };
  const StopSignals signals;
  PullDisplay display;
  PullEvents events;
  events.say = [](const std::string& line) { Say(line); };
  events.on_progress = [&](const PullProgress& progress) {
    display.Show(progress);
    return StopSignals::last() == 0;
  };
  const auto pulled = PullModel(options.request, getenv, "headrace/" HEADRACE_VERSION, events);
  display.Clear();
  if (const int signal = StopSignals::last(); signal != 0)
    return Fail("stopped; the same command continues where it stopped", kExitSignal + signal);
  if (!pulled.ok()) return Fail(pulled.status());
  const std::string name = NameOf(pulled->path, getenv);
  const char* checked = pulled->was_there  ? "it was there already"
                        : pulled->verified ? "its SHA-256 is verified"
                                           : "the server gave no SHA-256 to verify it";
  Say(fmt::format("{}, {}: {}; next: headrace run {}", name, FormatSize(pulled->bytes), checked, name));
  WriteOutput(pulled->path + "\n");
  return kExitOk;
}

}  // namespace

void AddPullCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("pull", "Fetch a model from Hugging Face's hub or from a URL");
  command->footer(kPullExamples);
  const auto options = std::make_shared<PullOptions>();
  command
      ->add_option("source", options->request.source,
                   "hf:USER/NAME, hf:USER/NAME:QUANTIZATION, or https://HOST/PATH/NAME.gguf")
      ->type_name("SOURCE")
      ->required();
  command->add_flag("--no-projector", options->no_projector, "Do not fetch the projector");
  command->callback([options, &line] { line.action = [options] { return PullNow(*options); }; });
}

}  // namespace headrace::cli
