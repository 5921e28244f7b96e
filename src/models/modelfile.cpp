#include "models/modelfile.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/shown.h"
#include "models/modelfile_lines.h"

namespace headrace::cli {
namespace {

constexpr double kMost = 1e9;

// A PARAMETER of Ollama's and the engine's option for it.
struct Parameter {
  const char* name;
  bool whole;  // a whole number
  double least, most;
  std::vector<const char*> names;
  std::optional<double> unset = std::nullopt;  // with this value it is as if it was not there
};

const std::vector<Parameter>& Parameters() {
  static const std::vector<Parameter> parameters = {
      {"temperature", false, 0, kMost, {"--temp", "--temperature"}},
      {"top_k", true, -1, kMost, {"--top-k"}},
      {"top_p", false, 0, 1, {"--top-p"}},
      {"min_p", false, 0, 1, {"--min-p"}},
      {"typical_p", false, 0, 1, {"--typical", "--typical-p"}},
      {"repeat_penalty", false, 0, kMost, {"--repeat-penalty"}},
      {"repeat_last_n", true, -1, kMost, {"--repeat-last-n"}},
      {"presence_penalty", false, -kMost, kMost, {"--presence-penalty"}},
      {"frequency_penalty", false, -kMost, kMost, {"--frequency-penalty"}},
      {"mirostat", true, 0, 2, {"--mirostat"}},
      {"mirostat_eta", false, 0, kMost, {"--mirostat-lr"}},
      {"mirostat_tau", false, 0, kMost, {"--mirostat-ent"}},
      {"seed", true, -1, 4294967295.0, {"-s", "--seed"}},
      {"num_ctx", true, 1, kMost, {"-c", "--ctx-size"}},
      {"num_predict", true, -2, kMost, {"-n", "--predict", "--n-predict"}},
      {"num_keep", true, -1, kMost, {"--keep"}},
      {"num_batch", true, 1, kMost, {"-b", "--batch-size"}},
      {"num_thread", true, 0, 4096, {"-t", "--threads"}, 0},
      {"num_gpu", true, -1, kMost, {"-ngl", "--gpu-layers", "--n-gpu-layers"}, -1},
      {"main_gpu", true, 0, kMost, {"-mg", "--main-gpu"}},
      {"rope_frequency_base", false, 0, 1e12, {"--rope-freq-base"}, 0},
      {"rope_frequency_scale", false, 0, kMost, {"--rope-freq-scale"}, 0}};
  return parameters;
}

// A PARAMETER that Ollama has or had, and that changes nothing here.
struct IdleParameter {
  const char* name;
  bool number;  // else true or false
  const char* why;
};

constexpr IdleParameter kIdleParameters[] = {
    {"use_mmap", false, "weights that stream are mapped, those that fit are loaded as llama.cpp decides"},
    {"use_mlock", false, "--lock keeps the memory of weights out of swap"},
    {"low_vram", false, "llama.cpp has no such option any more"},
    {"f16_kv", false, "-ctk and -ctv after -- choose the type of the KV cache"},
    {"numa", false, "--numa after -- says how memory is spread"},
    {"vocab_only", false, "a model is loaded to be used"},
    {"logits_all", false, "llama.cpp has no such option any more"},
    {"embedding_only", false, "the model's file says what it is"},
    {"penalize_newline", false, "llama.cpp has no such option any more"},
    {"tfs_z", true, "llama.cpp has no tail-free sampling any more"},
    {"num_gqa", true, "the model's file says it"},
    {"draft_num_predict", true, "headrace chooses the length of drafts from measurements; --draft-tokens sets it"}};

constexpr const char* kStop = "stop";
const char* const kStopNames[] = {"-r", "--reverse-prompt"};

// As Ollama takes them, in lower case.
constexpr const char* kTruths[] = {"true", "false", "t", "f", "1", "0"};

std::optional<double> Number(const std::string& text, bool whole) {
  double value = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc() || end != last || !std::isfinite(value) || (whole && value != std::floor(value)))
    return std::nullopt;
  return value;
}

bool IsTruth(const std::string& text) {
  return std::any_of(std::begin(kTruths), std::end(kTruths), [&](const char* truth) { return text == truth; });
}

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return text;
}

// Takes one command after the other into a Modelfile.
class Reader {
 public:
  explicit Reader(const std::string& file) : file_(file) {}

  Status Take(const ModelfileCommand& command) {
    for (const Keyword& keyword : kKeywords) {
      if (command.keyword == keyword.name) return (this->*keyword.take)(command);
    }
    if (command.keyword.starts_with("FLASH")) {
      return Error(command, fmt::format("there is no {}; the keywords of flash weight streaming are {}",
                                        Shown(command.keyword), Names("FLASH")));
    }
    return Error(command, fmt::format("there is no {}; the keywords are {}", Shown(command.keyword), Names("")));
  }
  Modelfile Finish() { return std::move(result_); }

 private:
  using Command = ModelfileCommand;
  struct Keyword {
    const char* name;
    Status (Reader::*take)(const Command&);
  };
  static const Keyword kKeywords[19];

  static std::string Names(const std::string& beginning) {
    std::vector<std::string> names;
    for (const Keyword& keyword : kKeywords) {
      if (std::string_view(keyword.name).starts_with(beginning)) names.emplace_back(keyword.name);
    }
    return fmt::format("{}", fmt::join(names, ", "));
  }
  Status Error(const Command& command, const std::string& what) const {
    return ModelfileError(file_, command.line, what);
  }
  Status Wants(const Command& command, const std::string& expected) const {
    return Error(command,
                 fmt::format("{}{}{} {} is not understood; write {}", command.keyword, command.name.empty() ? "" : " ",
                             Shown(command.name), Shown(command.value), expected));
  }
  void Warn(const Command& command, const std::string& what) {
    result_.warnings.push_back(fmt::format("{}:{}: {}", file_, command.line, what));
  }
  void Forget(const std::string& name) {
    std::erase_if(result_.settings,
                  [&](const std::string& setting) { return setting.starts_with(name) && setting[name.size()] == ' '; });
  }
  // The last one of a name counts.
  void Say(const std::string& name, const std::string& value) {
    Forget(name);
    result_.settings.push_back(fmt::format("{} {}", name, value));
  }

  Status From(const Command& command) {
    if (command.value.empty()) return Wants(command, "the path of a GGUF file");
    if (!result_.from.empty()) {
      // Ollama's way to name a projector.
      Warn(command,
           fmt::format("the second FROM, {}, is ignored: give a projector after -- on the command line (--mmproj)",
                       Shown(command.value)));
      return {};
    }
    result_.from = command.value;
    return {};
  }
  Status Adapter(const Command& command) {
    if (!result_.adapter.empty())
      return Error(command, "a second ADAPTER; give further ones after -- on the command line (--lora)");
    if (command.value.empty()) return Wants(command, "the path of a LoRA adapter in GGUF");
    result_.adapter = command.value;
    Say("ADAPTER", Shown(command.value));
    return {};
  }
  Status System(const Command& command) {
    result_.system = command.value;
    if (!command.value.empty()) Say("SYSTEM", fmt::format("\"{}\"", Shown(command.value)));
    return {};
  }
  Status Ignored(const Command&) { return {}; }
  Status Left(const Command& command) {
    const char* const why = command.keyword == "MESSAGE" ? "a chat starts without a history"
                            : command.keyword == "EMBED" ? "there is nothing for it in llama.cpp"
                                                         : "the model's own chat template is used";
    Warn(command, fmt::format("{} is ignored: {}", command.keyword, why));
    return {};
  }

  Status TakeParameter(const Command& command) {
    const std::string name = Lower(command.name);
    if (name == kStop) {
      if (command.value.empty()) return Wants(command, "a text");
      result_.options.push_back({{kStopNames[0], kStopNames[1]}, command.value});
      result_.settings.push_back(fmt::format("stop \"{}\"", Shown(command.value)));
      return {};
    }
    for (const IdleParameter& idle : kIdleParameters) {
      if (name != idle.name) continue;
      if (idle.number ? !Number(command.value, false) : !IsTruth(Lower(command.value)))
        return Wants(command, idle.number ? "a number" : "true or false");
      Warn(command, fmt::format("PARAMETER {} is ignored: {}", name, idle.why));
      return {};
    }
    for (const Parameter& parameter : Parameters()) {
      if (name != parameter.name) continue;
      const auto value = Number(command.value, parameter.whole);
      if (!value || *value < parameter.least || *value > parameter.most) {
        std::string range = parameter.least > -kMost ? fmt::format(" from {}", parameter.least) : "";
        if (parameter.most < kMost) range += fmt::format(" to {}", parameter.most);
        return Wants(command, (parameter.whole ? "a whole number" : "a number") + range);
      }
      std::erase_if(result_.options, [&](const EngineOption& option) { return option.names == parameter.names; });
      Forget(name);
      if (value == parameter.unset) return {};
      // "4e3" is a whole number too, but not to the engine.
      const std::string text = parameter.whole ? fmt::format("{:.0f}", *value) : command.value;
      result_.options.push_back({parameter.names, text});
      Say(name, text);
      return {};
    }
    std::vector<std::string> names;
    for (const Parameter& parameter : Parameters()) names.emplace_back(parameter.name);
    return Error(
        command,
        fmt::format(
            "there is no PARAMETER {}; known are {}, {}; give other options of llama.cpp after -- on the command line",
            Shown(command.name), fmt::join(names, ", "), kStop));
  }

  Status Flash(const Command& command) {
    const std::string value = Lower(command.value);
    const bool on = value == "true" || value == "1" || value == "yes",
               off = value == "false" || value == "0" || value == "no";
    result_.flash_mode = on ? FlashMode::kOn : off ? FlashMode::kOff : ParseFlashMode(value);
    if (!result_.flash_mode) return Wants(command, "auto, on or off");
    Say("FLASH", ToString(*result_.flash_mode));
    return {};
  }
  Status FlashRam(const Command& command) {
    const auto value = Number(command.value, false);
    if (!value || *value <= 0 || *value > 1e6)
      return Wants(command, "the memory for weights in GiB, for instance 8 or 6.5");
    result_.flash_ram_gb = *value;
    Say("FLASH_RAM_GB", command.value);
    return {};
  }
  Status FlashVram(const Command& command) {
    const std::string word = Lower(command.value);
    const auto value = Number(command.value, false);
    if (word != "auto" && word != "off" && (!value || *value <= 0 || *value > 1e6)) {
      return Wants(command, "the memory of graphics cards in GiB, for instance 8 or 6.5, or auto or off");
    }
    result_.flash_vram = value ? fmt::format("{:.6f}G", *value) : word;
    Say("FLASH_VRAM_GB", value ? command.value : word);
    return {};
  }
  Status FlashThreads(const Command& command) {
    return Error(command,
                 "FLASH_THREADS has no meaning here: one thread keeps the disk busy with many reads at a time "
                 "(io_uring), and more would not be faster; PARAMETER num_thread sets the threads that compute");
  }
  Status FlashPrefetch(const Command& command) {
    const auto value = Number(command.value, true);
    if (!value || *value < 0) return Wants(command, "0 or 1");
    if (*value > 1) {
      return Error(command,
                   "FLASH_PREFETCH_LAYERS above 1 has no meaning here: headrace always reads ahead the weights that "
                   "every token uses, as many bytes as the disk needs, in whatever layers; it can predict experts one "
                   "layer ahead (1, the default) or not (0)");
    }
    result_.look_ahead = *value == 1;
    Say("FLASH_PREFETCH_LAYERS", command.value);
    return {};
  }
  Status FlashTopK(const Command& command) {
    const auto value = Number(command.value, true);
    if (!value || *value < 1 || *value > 65536) return Wants(command, "the number of experts for each token, from 1");
    result_.experts_used = static_cast<uint64_t>(*value);
    Say("FLASH_TOP_K", command.value);
    return {};
  }
  Status FlashEviction(const Command& command) {
    if (Lower(command.value) != "heat") {
      return Error(
          command,
          fmt::format("FLASH_EVICTION {} does not exist: the experts that were used least in the recent past make room "
                      "(heat), which needs fewer reads than any other policy that was tried (docs/experts-policy.md), "
                      "and what every token uses is never evicted; write heat or leave it out",
                      Shown(command.value)));
    }
    Say("FLASH_EVICTION", "heat");
    return {};
  }

  const std::string& file_;
  Modelfile result_;
};

const Reader::Keyword Reader::kKeywords[19] = {{"FROM", &Reader::From},
                                               {"SYSTEM", &Reader::System},
                                               {"PARAMETER", &Reader::TakeParameter},
                                               {"ADAPTER", &Reader::Adapter},
                                               {"TEMPLATE", &Reader::Left},
                                               {"RENDERER", &Reader::Left},
                                               {"PARSER", &Reader::Left},
                                               {"MESSAGE", &Reader::Left},
                                               {"PROMPT", &Reader::Left},
                                               {"EMBED", &Reader::Left},
                                               {"LICENSE", &Reader::Ignored},
                                               {"REQUIRES", &Reader::Ignored},
                                               {"FLASH", &Reader::Flash},
                                               {"FLASH_RAM_GB", &Reader::FlashRam},
                                               {"FLASH_VRAM_GB", &Reader::FlashVram},
                                               {"FLASH_THREADS", &Reader::FlashThreads},
                                               {"FLASH_PREFETCH_LAYERS", &Reader::FlashPrefetch},
                                               {"FLASH_TOP_K", &Reader::FlashTopK},
                                               {"FLASH_EVICTION", &Reader::FlashEviction}};

}  // namespace

Result<Modelfile> ParseModelfile(std::string_view text, const std::string& name) {
  if (text.size() > kMostModelfileBytes) return Status(Code::kInvalidArgument, name + " is too long for a Modelfile");
  const auto commands = SplitModelfile(text, name);
  if (!commands.ok()) return commands.status();
  Reader reader(name);
  for (const ModelfileCommand& command : *commands) HEADRACE_RETURN_IF_ERROR(reader.Take(command));
  return reader.Finish();
}

}  // namespace headrace::cli
