#include "engine/engine_arguments.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "engine/load_mode.h"

namespace headrace::cli {
namespace {

constexpr uint64_t kEnginesBatch = 512;  // tokens of a pass that llama.cpp takes unasked

// Names of one option; the first that the engine knows is used.
using Names = std::vector<const char*>;

class ArgumentsBuilder {
 public:
  // Weights that stream are mapped, whatever the user's arguments say (engine/load_mode.h).
  ArgumentsBuilder(const OptionNames& known, const std::vector<std::string>& rest, bool streams)
      : known_(known), rest_(streams ? Mapped(rest) : rest) {}

  // A default of ours: left out where the engine does not know it or the user set it after --.
  void Default(const Names& names, std::optional<std::string> value = std::nullopt) {
    if (!SetByUser(names)) Add(names, std::move(value));
  }
  // The user's wish: an engine that does not know it is an error.
  void Required(const Names& names, const std::optional<std::string>& value) {
    if (!value || !status_.ok()) return;
    if (!Add(names, value)) {
      status_ = Status(Code::kUnsupported,
                       fmt::format("this llama.cpp does not know {}; leave it out or install another release with "
                                   "`headrace engine install`",
                                   names.front()));
    }
  }
  void Settings(const EngineSettings& settings) {
    Required({"-n", "--predict", "--n-predict"}, settings.tokens);
    Required({"-t", "--threads"}, settings.threads);
    Required({"-s", "--seed"}, settings.seed);
    Required({"--temp"}, settings.temperature);
    Required({"-c", "--ctx-size"}, settings.context);
  }
  // Wishes that are less than the user's own; all of one option count, or none.
  void File(const std::vector<EngineOption>& options) {
    const std::vector<std::string> before = arguments_;
    for (const EngineOption& option : options) {
      const bool said = std::any_of(option.names.begin(), option.names.end(), [&](const char* name) {
        return std::find(before.begin(), before.end(), name) != before.end();
      });
      // Keys of the model are overridden one by one.
      if (said || (SetByUser(option.names) && option.names.front() != std::string_view("--override-kv"))) continue;
      Required(option.names, option.value);
    }
    for (const EngineOption& option : options)
      by_file_.insert(by_file_.end(), option.names.begin(), option.names.end());
  }
  bool SetByUser(const Names& names) const {
    return std::any_of(names.begin(), names.end(), [&](const char* name) {
      return std::find(rest_.begin(), rest_.end(), name) != rest_.end() ||
             std::find(by_file_.begin(), by_file_.end(), name) != by_file_.end();
    });
  }
  Result<std::vector<std::string>> Finish() {
    if (!status_.ok()) return status_;
    arguments_.insert(arguments_.end(), rest_.begin(), rest_.end());
    return arguments_;
  }

 private:
  bool Add(const Names& names, std::optional<std::string> value) {
    for (const char* name : names) {
      if (!known_.Has(name)) continue;
      arguments_.emplace_back(name);
      if (value) arguments_.push_back(std::move(*value));
      return true;
    }
    return false;
  }

  const OptionNames& known_;
  const std::vector<std::string> rest_;
  std::vector<std::string> arguments_;
  std::vector<std::string> by_file_;
  Status status_;
};

// A path that cannot be taken for an option.
std::string AsPath(const std::string& path) { return path.starts_with('-') ? "./" + path : path; }

}  // namespace

Result<std::vector<std::string>> BuildRunArguments(const RunArguments& run, const OptionNames& known) {
  ArgumentsBuilder builder(known, run.rest, run.streams);
  builder.Required({"-m", "--model"}, AsPath(run.model));
  if (run.prompt) builder.Required({"-p", "--prompt"}, run.prompt);
  if (run.prompt_file) builder.Required({"-f", "--file"}, AsPath(*run.prompt_file));
  builder.Settings(run.settings);
  if (!run.system_prompt.empty() && !builder.SetByUser({"-sys", "--system-prompt", "-sysf", "--system-prompt-file"})) {
    builder.Required({"-sys", "--system-prompt"}, run.system_prompt);
  }
  builder.File(run.defaults);
  if (!run.settings.context && !builder.SetByUser({"-c", "--ctx-size"})) {
    builder.Default({"-c", "--ctx-size"}, std::to_string(DefaultContext(run.model_context)));
  }

  // The warm-up pass would read the whole model before the prompt does; fitting would load it once more.
  builder.Default({"--no-warmup"});
  if (!builder.SetByUser({"-fit"})) builder.Default({"--fit"}, "off");
  if (run.streams && !builder.SetByUser({"-lm", "--mmap"})) builder.Default({"--load-mode"}, kMappedMode);
  if (run.one_answer()) {
    if (run.use_chat_template) {
      // --jinja: the model's own template; without it only built-in ones are accepted.
      builder.Default({"-st", "--single-turn"});
      builder.Default({"--jinja"});
      builder.Default({"--no-display-prompt"});
    } else {
      builder.Default({"-no-cnv", "--no-conversation"});
    }
    builder.Default({"--simple-io"});
  }
  // Errors only; what an engine prints itself (the text) is at level 0.
  if (!run.debug && !builder.SetByUser({"-v", "--verbose", "--log-verbose", "--verbosity", "--log-verbosity"})) {
    builder.Default({"-lv", "--verbosity"}, "1");
  }
  return builder.Finish();
}

std::vector<std::string> BenchMemoryArguments(const BenchArguments& bench) {
  std::vector<std::string> arguments = {"-m", AsPath(bench.model), "-c",
                                        std::to_string(std::max({bench.prompt_tokens, bench.decode_tokens, 1u}))};
  for (const EngineOption& option : bench.defaults)
    arguments.insert(arguments.end(), {option.names.front(), option.value});
  // Lists of values are measured one after the other; the last one given here stands for them.
  for (const std::string& argument : bench.rest) arguments.push_back(argument.substr(argument.rfind(',') + 1));
  return arguments;
}

Result<std::vector<std::string>> BuildBenchArguments(const BenchArguments& bench, const OptionNames& known) {
  ArgumentsBuilder builder(known, bench.rest, bench.streams);
  builder.Required({"-m", "--model"}, AsPath(bench.model));
  builder.Required({"-o", "--output"}, "json");
  if (!builder.SetByUser({"--n-prompt"})) builder.Default({"-p"}, std::to_string(bench.prompt_tokens));
  if (!builder.SetByUser({"--n-gen"})) builder.Default({"-n"}, std::to_string(bench.decode_tokens));
  if (!builder.SetByUser({"--repetitions"})) builder.Default({"-r"}, std::to_string(bench.repetitions));
  builder.Required({"-t", "--threads"}, bench.threads);
  builder.File(bench.defaults);
  if (bench.streams && !builder.SetByUser({"-lm", "-mmp", "--mmap"})) builder.Default({"--load-mode"}, kMappedMode);
  return builder.Finish();
}

ServerArguments OneAnswerArguments(const RunArguments& run, const OptionNames& known) {
  ServerArguments server;
  server.model = run.model;
  server.alias = std::filesystem::path(run.model).filename().string();
  server.context = DefaultContext(run.model_context);
  server.settings = run.settings;
  server.slots = 1;
  server.streams = run.streams;
  server.debug = run.debug;
  server.defaults = run.defaults;
  server.rest = run.rest;
  // Nothing is asked twice: no states of a prompt are kept.
  if (known.Has("--ctx-checkpoints")) server.defaults.push_back({{"-ctxcp", "--ctx-checkpoints"}, "0"});
  return server;
}

Result<std::vector<std::string>> BuildServerArguments(const ServerArguments& server, const OptionNames& known) {
  ArgumentsBuilder builder(known, server.rest, server.streams);
  const auto given = [](const std::string& text) {
    return text.empty() ? std::nullopt : std::optional<std::string>(text);
  };
  builder.Required({"-m", "--model"}, AsPath(server.model));
  builder.Required({"--host"}, given(server.socket));
  builder.Required({"-a", "--alias"}, server.alias);
  builder.Settings(server.settings);
  if (server.slots) builder.Required({"-np", "--parallel"}, std::to_string(*server.slots));
  builder.Required({"-ctk", "--cache-type-k"}, server.kv_cache_type);
  builder.Required({"-ctv", "--cache-type-v"}, server.kv_cache_type);
  builder.Required({"-md", "--model-draft"}, given(server.draft_model));
  for (const EngineOption& option : server.speculation) builder.Required(option.names, option.value);
  builder.Required({"-mm", "--mmproj"}, given(server.projector));
  builder.File(server.defaults);
  if (!server.settings.context && !builder.SetByUser({"--ctx-size"})) {
    builder.Default({"-c"}, std::to_string(std::max(server.context, server.pool_tokens)));
  }
  if (server.chosen_slots > 0) builder.Default({"-np", "--parallel"}, std::to_string(server.chosen_slots));
  if (server.pool_tokens > 0) {
    // With memory of their own only neighbouring slots share a pass, and none with a prompt.
    builder.Default({"-kvu", "--kv-unified", "-no-kvu", "--no-kv-unified"});
    if (server.pool_tokens > server.context) builder.Default({"--kv-unified-per-slot"}, std::to_string(server.context));
  }
  if (!server.slot_folder.empty()) builder.Required({"--slot-save-path"}, AsPath(server.slot_folder));
  // Else the slots divide the context, and neither a long input nor a pass has room for more than a part of it.
  if (server.input_tokens > 0 && server.pool_tokens == 0)
    builder.Default({"-kvu", "--kv-unified", "-no-kvu", "--no-kv-unified"});
  if (server.input_tokens > kEnginesBatch) {
    builder.Default({"-b", "--batch-size"}, std::to_string(server.input_tokens));
    builder.Default({"-ub", "--ubatch-size"}, std::to_string(server.input_tokens));
  } else if (server.batch_tokens > 0) {
    builder.Default({"-b", "--batch-size"}, std::to_string(std::max(server.batch_tokens, server.judged_tokens)));
    builder.Default({"-ub", "--ubatch-size"}, std::to_string(server.batch_tokens));
  }
  if (server.embedding) {
    builder.Default({"--embeddings", "--embedding"});
    // Without pooling there is no vector for a text, and a completion crashes llama-server 0.7.0.
    if (!server.has_pooling) builder.Default({"--pooling"}, "mean");
  }
  if (server.reranking) builder.Default({"--reranking", "--rerank"});
  builder.Default({"--metrics"});
  builder.Default({"--no-ui", "--no-webui"});
  builder.Default({"--no-warmup"});
  if (!builder.SetByUser({"-fit"})) builder.Default({"--fit"}, "off");
  if (server.streams && !builder.SetByUser({"-lm", "--mmap"})) builder.Default({"--load-mode"}, kMappedMode);
  if (server.checkpoints)
    builder.Default({"--ctx-checkpoints", "-ctxcp", "--swa-checkpoints"}, std::to_string(*server.checkpoints));
  // By default it keeps up to 8 GiB of old prompts: memory that nobody granted.
  if (!builder.SetByUser({"-cram"})) builder.Default({"--cache-ram"}, "0");
  if (!builder.SetByUser({"-v", "--verbose", "--log-verbose", "--verbosity", "--log-verbosity"})) {
    builder.Default({"-lv", "--verbosity"}, server.debug ? "3" : "1");
  }
  return builder.Finish();
}

}  // namespace headrace::cli
