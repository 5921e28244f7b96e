#include "engine/engine_command_line.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "engine/load_mode.h"

namespace headrace::cli {
namespace {

constexpr uint64_t kEnginesBatch = 512;  // tokens of a pass that llama.cpp takes unasked

class CommandLineBuilder {
 public:
  // Weights that stream are mapped, whatever the user's arguments say (engine/load_mode.h).
  CommandLineBuilder(const OptionNames& known, const EngineArguments& rest, bool streams)
      : known_(known), rest_(streams ? Mapped(rest) : rest) {}

  // A default of ours: left out where the engine does not know it or the user set it after --.
  void Default(OptionId option, std::optional<std::string> value = std::nullopt) {
    if (!SetByUser(option)) Add(SpellingsOf(option), std::move(value));
  }
  // The user's wish: an engine that does not know it is an error.
  void Required(OptionId option, const std::optional<std::string>& value) {
    if (value) Required(WithValue(option, *value));
  }
  void Required(const EngineOption& option) {
    if (!status_.ok()) return;
    if (!Add(option.names, option.value)) {
      status_ = Status(Code::kUnsupported,
                       fmt::format("this llama.cpp does not know {}; leave it out or install another release with "
                                   "`headrace engine install`",
                                   option.names.front()));
    }
  }
  void Settings(const EngineSettings& settings) {
    Required(OptionId::kTokens, settings.tokens);
    Required(OptionId::kThreads, settings.threads);
    Required(OptionId::kSeed, settings.seed);
    Required(OptionId::kTemperature, settings.temperature);
    Required(OptionId::kContext, settings.context);
  }
  // Wishes that are less than the user's own; all of one option count, or none.
  void File(const std::vector<EngineOption>& options) {
    const EngineArguments before = arguments_;
    for (const EngineOption& option : options) {
      const auto said_by = [&](const EngineArguments& arguments) {
        return std::any_of(option.names.begin(), option.names.end(),
                           [&](const char* name) { return arguments.Says(name); });
      };
      // Keys of the model are overridden one by one.
      const bool one_by_one = FindOption(option.names.front()) == OptionId::kOverrideKv;
      if (said_by(before) || (!one_by_one && (said_by(rest_) || said_by(by_file_)))) continue;
      Required(option);
    }
    by_file_.Append(EngineArguments(options));
  }
  bool SetByUser(OptionId option) const { return rest_.Has(option) || by_file_.Has(option); }
  Result<EngineArguments> Finish() {
    if (!status_.ok()) return status_;
    return Joined(std::move(arguments_), rest_);
  }

 private:
  bool Add(const std::vector<const char*>& names, std::optional<std::string> value) {
    for (const char* name : names) {
      if (!known_.Has(name)) continue;
      arguments_.Append(value ? EngineArguments{name, *value} : EngineArguments{name});
      return true;
    }
    return false;
  }

  const OptionNames& known_;
  const EngineArguments rest_;
  EngineArguments arguments_, by_file_;
  Status status_;
};

// A path that cannot be taken for an option.
std::string AsPath(const std::string& path) { return path.starts_with('-') ? "./" + path : path; }

}  // namespace

Result<EngineArguments> BuildRunArguments(const RunArguments& run, const OptionNames& known) {
  CommandLineBuilder builder(known, run.rest, run.streams);
  builder.Required(OptionId::kModel, AsPath(run.model));
  builder.Required(OptionId::kPrompt, run.prompt);
  if (run.prompt_file) builder.Required(OptionId::kPromptFile, AsPath(*run.prompt_file));
  builder.Settings(run.settings);
  if (!run.system_prompt.empty() && !builder.SetByUser(OptionId::kSystemPrompt) &&
      !builder.SetByUser(OptionId::kSystemPromptFile)) {
    builder.Required(OptionId::kSystemPrompt, run.system_prompt);
  }
  builder.File(run.defaults);
  if (!run.settings.context) builder.Default(OptionId::kContext, std::to_string(DefaultContext(run.model_context)));

  // The warm-up pass would read the whole model before the prompt does; fitting would load it once more.
  builder.Default(OptionId::kNoWarmup);
  builder.Default(OptionId::kFit, "off");
  if (run.streams && !builder.SetByUser(OptionId::kMmap)) builder.Default(OptionId::kLoadMode, kMappedMode);
  if (run.one_answer()) {
    if (run.use_chat_template) {
      // --jinja: the model's own template; without it only built-in ones are accepted.
      builder.Default(OptionId::kSingleTurn);
      builder.Default(OptionId::kJinja);
      builder.Default(OptionId::kNoDisplayPrompt);
    } else {
      builder.Default(OptionId::kNoConversation);
    }
    builder.Default(OptionId::kSimpleIo);
  }
  // Errors only; what an engine prints itself (the text) is at level 0.
  if (!run.debug && !builder.SetByUser(OptionId::kVerbose)) builder.Default(OptionId::kVerbosity, "1");
  return builder.Finish();
}

EngineArguments BenchMemoryArguments(const BenchArguments& bench) {
  EngineArguments arguments;
  arguments.Append(OptionId::kModel, AsPath(bench.model));
  arguments.Append(OptionId::kContext, std::to_string(std::max({bench.prompt_tokens, bench.decode_tokens, 1u})));
  arguments.Append(EngineArguments(bench.defaults));
  // Lists of values are measured one after the other; the last one given here stands for them. Workers are a list by
  // themselves, and devices are divided by slashes.
  std::vector<std::string> rest = bench.rest.words();
  for (std::string& word : rest) word = word.substr(word.rfind(',') + 1);
  for (const GivenOption& option : bench.rest.options()) {
    if (option.option == OptionId::kRemote && option.value) rest[option.at + 1] = *option.value;
    if (option.option == OptionId::kDevices && option.value)
      std::replace(rest[option.at + 1].begin(), rest[option.at + 1].end(), '/', ',');
  }
  return Joined(std::move(arguments), std::move(rest));
}

Result<EngineArguments> BuildBenchArguments(const BenchArguments& bench, const OptionNames& known) {
  CommandLineBuilder builder(known, bench.rest, bench.streams);
  builder.Required(OptionId::kModel, AsPath(bench.model));
  builder.Required(OptionId::kOutput, "json");
  // Its -p, -n and -r, which mean something else to other programs.
  const auto number = [&](OptionId option, OptionId short_name, unsigned value) {
    if (!builder.SetByUser(option)) builder.Default(short_name, std::to_string(value));
  };
  number(OptionId::kBenchPrompt, OptionId::kPrompt, bench.prompt_tokens);
  number(OptionId::kBenchTokens, OptionId::kTokens, bench.decode_tokens);
  number(OptionId::kBenchRepetitions, OptionId::kStop, bench.repetitions);
  builder.Required(OptionId::kThreads, bench.threads);
  std::vector<EngineOption> defaults = bench.defaults;
  for (EngineOption& option : defaults) {
    if (FindOption(option.names.front()) == OptionId::kDevices)
      std::replace(option.value.begin(), option.value.end(), ',', '/');
  }
  builder.File(defaults);
  if (bench.streams && !builder.SetByUser(OptionId::kMmap)) builder.Default(OptionId::kLoadMode, kMappedMode);
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

Result<EngineArguments> BuildServerArguments(const ServerArguments& server, const OptionNames& known) {
  CommandLineBuilder builder(known, server.rest, server.streams);
  const auto given = [](const std::string& text) {
    return text.empty() ? std::nullopt : std::optional<std::string>(text);
  };
  builder.Required(OptionId::kModel, AsPath(server.model));
  builder.Required(OptionId::kHost, given(server.socket));
  builder.Required(OptionId::kAlias, server.alias);
  builder.Settings(server.settings);
  if (server.slots) builder.Required(OptionId::kSlots, std::to_string(*server.slots));
  builder.Required(OptionId::kCacheTypeK, server.kv_cache_type);
  builder.Required(OptionId::kCacheTypeV, server.kv_cache_type);
  builder.Required(OptionId::kDraftModel, given(server.draft_model));
  for (const EngineOption& option : server.speculation) builder.Required(option);
  builder.Required(OptionId::kProjector, given(server.projector));
  builder.File(server.defaults);
  if (!server.settings.context)
    builder.Default(OptionId::kContext, std::to_string(std::max(server.context, server.pool_tokens)));
  if (server.chosen_slots > 0) builder.Default(OptionId::kSlots, std::to_string(server.chosen_slots));
  if (server.pool_tokens > 0) {
    // With memory of their own only neighbouring slots share a pass, and none with a prompt.
    if (!builder.SetByUser(OptionId::kOwnCaches)) builder.Default(OptionId::kSharedCache);
    if (server.pool_tokens > server.context)
      builder.Default(OptionId::kSharedCachePart, std::to_string(server.context));
  }
  if (!server.slot_folder.empty()) builder.Required(OptionId::kSlotFolder, AsPath(server.slot_folder));
  // Else the slots divide the context, and neither a long input nor a pass has room for more than a part of it.
  if (server.input_tokens > 0 && server.pool_tokens == 0 && !builder.SetByUser(OptionId::kOwnCaches))
    builder.Default(OptionId::kSharedCache);
  if (server.input_tokens > kEnginesBatch) {
    builder.Default(OptionId::kBatch, std::to_string(server.input_tokens));
    builder.Default(OptionId::kUbatch, std::to_string(server.input_tokens));
  } else if (server.batch_tokens > 0) {
    builder.Default(OptionId::kBatch, std::to_string(std::max(server.batch_tokens, server.judged_tokens)));
    builder.Default(OptionId::kUbatch, std::to_string(server.batch_tokens));
  }
  if (server.embedding) {
    builder.Default(OptionId::kEmbeddings);
    // Without pooling there is no vector for a text, and a completion crashes llama-server 0.7.0.
    if (!server.has_pooling) builder.Default(OptionId::kPooling, "mean");
  }
  if (server.reranking) builder.Default(OptionId::kReranking);
  builder.Default(OptionId::kMetrics);
  builder.Default(OptionId::kNoPage);
  builder.Default(OptionId::kNoWarmup);
  builder.Default(OptionId::kFit, "off");
  if (server.streams && !builder.SetByUser(OptionId::kMmap)) builder.Default(OptionId::kLoadMode, kMappedMode);
  if (server.checkpoints) builder.Default(OptionId::kCheckpoints, std::to_string(*server.checkpoints));
  // By default it keeps up to 8 GiB of old prompts: memory that nobody granted.
  builder.Default(OptionId::kPromptCache, "0");
  if (!builder.SetByUser(OptionId::kVerbose)) builder.Default(OptionId::kVerbosity, server.debug ? "3" : "1");
  return builder.Finish();
}

}  // namespace headrace::cli
