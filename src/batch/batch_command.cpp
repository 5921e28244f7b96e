#include "batch/batch_command.h"

#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/say.h"
#include "batch/joined_results.h"
#include "batch/part_plan.h"
#include "batch/part_run.h"
#include "batch/request_file.h"
#include "batch/result_file.h"
#include "engine/engine_variables.h"
#include "engine/load_mode.h"
#include "llama_server/lone_server.h"
#include "llama_server/private_folder.h"
#include "report/exit_status.h"
#include "report/help.h"
#include "report/progress_line.h"
#include "setup/model_name.h"
#include "setup/workers.h"

namespace headrace::batch {
namespace {

constexpr const char* kExamples = R"(
Examples:
  headrace batch model.gguf requests.jsonl --ram 8G            writes results.jsonl, in the order in which answers are finished
  headrace batch model.gguf requests.jsonl -o answers.jsonl    after an interruption, the same command answers the rest
  headrace batch model.gguf requests.jsonl --retry-errors      repeats the requests whose result is an error
  headrace batch model.gguf requests.jsonl -n 200 --slots 32   answers of at most 200 tokens, 32 at a time
  headrace batch model.gguf requests.jsonl --ram 16G --vram 8G     with 8 GiB of a graphics card
  headrace batch model.gguf requests.jsonl --workers 192.168.1.5   layers that do not fit here go to another machine
  cat requests.jsonl | headrace batch model.gguf - -o answers.jsonl
  headrace batch model.gguf requests.jsonl --shard 2/4         on the second of four machines
  headrace batch requests.jsonl --join results-*-of-4.jsonl    their results as one file, results.jsonl
  headrace batch model.gguf requests.jsonl -- --temp 0 --cache-type-k q8_0      options of llama-server

Each line of the requests has the format of OpenAI's batches:
  {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions",
   "body": {"messages": [...], "max_tokens": 200}}         (on one line)
urls: /v1/chat/completions, /v1/completions, /v1/embeddings. A line that is not a valid request gets an error as its
result, and the batch continues. Exit status 0: every line has a result, even if some are errors. docs/batch.md says more.
)";

// Where results go without -o: beside the requests.
std::string DefaultResults(const std::string& requests, const Shard& shard) {
  return (std::filesystem::path(requests).parent_path() / ResultsName(shard)).string();
}

Status CheckOptions(BatchOptions& options) {
  if (options.overwrite && options.retry_errors)
    return Status(Code::kInvalidArgument, "--overwrite and --retry-errors contradict each other; leave one out");
  if (options.results.empty()) {
    if (options.requests == "-")
      return Status(Code::kInvalidArgument, "requests from standard input need -o FILE for the results");
    options.results = DefaultResults(options.requests, options.shard);
  }
  if (options.results == "-")
    return Status(Code::kInvalidArgument,
                  "results need a file, so that an interrupted batch can continue; name one with -o");
  return CheckRest(options.rest);
}

// Two shards that wrote into one file, or shards of another number, would have requests twice. Error: kInvalidArgument.
Status CheckShard(const RequestFile& requests, const ResultFile& results, const Shard& shard) {
  for (size_t i = 0; i < requests.entries().size(); ++i) {
    const RequestEntry& entry = requests.entries()[i];
    if (shard.Has(i) || !results.Has(entry)) continue;
    return Status(
        Code::kInvalidArgument,
        fmt::format("{} has the result of line {}, which does not belong to shard {} of {}; name another file "
                    "with -o, or --overwrite it",
                    results.path(), entry.line, shard.number, shard.of));
  }
  return {};
}

// The results of lines that are no requests; what is left to do is returned.
Result<std::vector<Part>> WriteProblems(const RequestFile& requests, const Shard& shard, ResultFile& results,
                                        Tally& tally) {
  std::vector<Part> parts(2);
  parts[1].embeddings = true;
  for (size_t i = 0; i < requests.entries().size(); ++i) {
    if (!shard.Has(i)) continue;
    const RequestEntry& entry = requests.entries()[i];
    ++tally.requests;
    if (results.Has(entry)) {
      ++tally.earlier;
    } else if (entry.problem.empty()) {
      parts[entry.endpoint == Endpoint::kEmbedding].requests.push_back(i);
    } else {
      HEADRACE_RETURN_IF_ERROR(results.Append(ErrorLine(entry, "invalid_request", entry.problem)));
      ++tally.done;
      ++tally.failed;
    }
  }
  std::erase_if(parts, [](const Part& part) { return part.requests.empty(); });
  return parts;
}

void SayEnd(const BatchOptions& options, const Tally& tally) {
  Say(fmt::format("{}; the results are in {}", SummaryText(tally), options.results));
  if (tally.cut_off > 0) {
    Say(fmt::format("the context cut off {} answers before the model ended them; give a longer one with -c",
                    tally.cut_off));
  }
  if (tally.failed > 0) Say(fmt::format("{} results are errors; --retry-errors repeats those requests", tally.failed));
}

// How far it came and how it goes on, in the line that says what went wrong.
int Stopped(const BatchOptions& options, const PartEnd& end, const Tally& tally) {
  const int status = end.signal != 0 ? cli::kExitSignal + end.signal : cli::kExitFailure;
  const uint64_t done = tally.earlier + tally.done;
  if (done == 0) return cli::Fail(fmt::format("{}; no request has a result yet", end.status.message()), status);
  return cli::Fail(fmt::format("{}; {} of {} requests have a result in {}: the same command answers the rest",
                               end.status.message(), done, tally.requests, options.results),
                   status);
}

// The exit status when there is none, else kExitOk.
int FindEngine(BatchOptions& options, const cli::Environment& variables, EngineChoice& choice) {
  Config any;
  any.flash_mode = FlashMode::kAuto;
  auto engine = cli::PrepareEngine(options.engine, {"llama-server"}, any);
  if (!engine.ok()) return cli::Fail(engine.status().message(), cli::kExitNotFound);
  choice.setup = std::move(*engine);
  auto known = cli::QueryOptions(choice.setup.program);
  if (!known.ok()) return cli::Fail(known.status().message(), cli::kExitNotExecutable);
  choice.known = std::move(*known);
  cli::EngineArguments said = options.rest;
  if (!options.threads.empty()) said.Append(cli::OptionId::kThreads, options.threads);
  cli::OptionIds ours = cli::ServerModeOptions();
  ours.insert(ours.end(), {cli::OptionId::kContext, cli::OptionId::kSharedCachePart, cli::OptionId::kSlotsPage});
  const auto chosen = cli::ChooseVariables(variables, choice.known, said, ours);
  options.rest = Joined(chosen.arguments, options.rest);
  for (const std::string& line : chosen.lines) {
    Say(line);
  }
  if (const Status asked = cli::PutWorkersBefore(options.workers, choice.setup.engine, options.model, options.rest);
      !asked.ok())
    return cli::Fail(asked);
  return cli::kExitOk;
}

int Join(BatchOptions& options) {
  if (options.requests.empty()) options.requests = options.model;  // nothing is computed
  if (options.requests == "-") return cli::Fail("--join needs the requests in a file", cli::kExitUsage);
  if (options.results.empty()) options.results = DefaultResults(options.requests, {});
  cli::ProgressLine progress;
  progress.Show("reading " + options.requests);
  const auto requests = RequestFile::Open(options.requests);
  if (!requests.ok()) return cli::Fail(requests.status());
  progress.Show("joining the results");
  const auto counts = JoinResults(*requests, options.joined, options.results, options.overwrite);
  progress.Show("");
  if (!counts.ok()) return cli::Fail(counts.status());
  std::string text = fmt::format("{} results", counts->results);
  if (counts->failed > 0) text += fmt::format(", {} of them errors", counts->failed);
  if (counts->twice > 0) text += fmt::format(", {} more left out, which were there twice", counts->twice);
  if (counts->damaged > 0) text += fmt::format(", {} lines left out that were not written whole", counts->damaged);
  Say(fmt::format("{}, in the order of the requests: {}", text, options.results));
  return cli::kExitOk;
}

int Batch(BatchOptions& options, const cli::CommandLine& line) {
  if (!options.joined.empty()) return Join(options);
  if (options.requests.empty()) return cli::Fail("requests is required; see headrace batch --help", cli::kExitUsage);
  options.rest = line.rest;
  if (const Status status = CheckOptions(options); !status.ok()) return cli::Fail(status);
  cli::ProgressLine progress;
  progress.Show("reading " + options.requests);
  auto requests = RequestFile::Open(options.requests);
  if (!requests.ok()) return cli::Fail(requests.status());
  const Existing existing = options.overwrite      ? Existing::kOverwrite
                            : options.retry_errors ? Existing::kRetryErrors
                                                   : Existing::kResume;
  auto results = ResultFile::Open(options.results, *requests, existing);
  if (!results.ok()) return cli::Fail(results.status());
  if (const Status ours = CheckShard(*requests, *results, options.shard); !ours.ok()) return cli::Fail(ours);
  progress.Show("");
  if (results->damaged() > 0) {
    Say(fmt::format("{} of the results in {} {} not written whole, and {} done again", results->damaged(),
                    options.results, results->damaged() == 1 ? "was" : "were", results->damaged() == 1 ? "is" : "are"));
  }
  Tally tally;
  const auto parts = WriteProblems(*requests, options.shard, *results, tally);
  if (!parts.ok()) return Stopped(options, {parts.status(), 0}, tally);
  if (tally.requests == 0) {
    Say(options.requests +
        (options.shard.whole() ? std::string(" has no requests") : " has no requests for this shard"));
  }
  const serve::PrivateFolder folder;
  if (!parts->empty() && !folder.status().ok()) return cli::Fail(folder.status());
  EngineChoice engine;
  if (!parts->empty()) {
    if (const int missing = FindEngine(options, line.variables, engine); missing != cli::kExitOk) return missing;
  }
  for (const Part& part : *parts) {
    const std::string socket_path = folder.path() + "/batch.sock";
    const auto plan = PlanPart(options, engine, *requests, part, socket_path);
    if (!plan.ok()) return cli::Fail(plan.status());
    cli::SayDecision(plan->model);
    if (plan->model.streams()) cli::SayMapped(options.rest);
    for (const std::string& note : plan->notes) Say(note);
    cli::DebugEngine(engine.setup, plan->arguments, plan->config);
    const PartEnd end = RunPart(options, engine, *plan, *requests, part, socket_path, *results, tally);
    if (!end.status.ok()) return Stopped(options, end, tally);
  }
  if (const Status synced = results->Sync(); !synced.ok()) return cli::Fail(synced);
  if (tally.requests > 0) SayEnd(options, tally);
  return cli::kExitOk;
}

}  // namespace

void AddBatchCommand(CLI::App& app, cli::CommandLine& line) {
  CLI::App* command = app.add_subcommand(
      "batch", "Answer a file of requests (OpenAI's batch format), many in each pass over the weights");
  command->footer(kExamples);
  const auto options = std::make_shared<BatchOptions>();
  cli::TakesModel(
      command->add_option("model", options->model, "GGUF file, any part of a split one, or a name of `headrace list`"))
      ->type_name("MODEL")
      ->required();
  command->add_option("requests", options->requests, "File with a request on each line; - is standard input")
      ->type_name("REQUESTS");
  command
      ->add_option("-o,--output", options->results, "File for the results (default: results.jsonl beside the requests)")
      ->type_name("FILE");
  command
      ->add_option_function<std::string>(
          "--shard",
          [options](const std::string& text) {
            const auto shard = ParseShard(text);
            if (!shard.ok()) throw CLI::ValidationError(shard.status().message());
            options->shard = *shard;
          },
          "Answer only every N-th request, from the I-th on: one machine of N; results go to results-I-of-N.jsonl")
      ->type_name("I/N");
  command
      ->add_option("--join", options->joined,
                   "Compute nothing: put the results of shards together, in the order of the requests")
      ->type_name("RESULTS")
      ->excludes("--shard");
  command->add_flag("--overwrite", options->overwrite, "Start again and delete the results in the file");
  command->add_flag("--retry-errors", options->retry_errors, "Repeat the requests whose result is an error")
      ->excludes("--join");
  command->add_option("--slots", options->slots, "Requests at a time (default: the fastest number that fits in memory)")
      ->type_name("N")
      ->check(CLI::Range(uint64_t{1}, uint64_t{256}));
  command
      ->add_option("-n,--predict", options->answer,
                   "Largest answer, in tokens, to a request without a limit (default: what a context of 4096 leaves)")
      ->type_name("N")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 30));
  command
      ->add_option("-c,--ctx-size", options->context,
                   "Context of each request in tokens, 0 for the model's own (default: what the longest request needs)")
      ->type_name("N")
      ->check(CLI::Range(uint64_t{0}, uint64_t{1} << 30));
  command->add_option("-t,--threads", options->threads, "Threads (default: llama.cpp's)")
      ->type_name("N")
      ->check(CLI::Range(int64_t{-1}, int64_t{65536}));
  command->add_flag("--no-modelfile", options->no_modelfile, "Ignore a Modelfile beside the model (docs/modelfile.md)");
  cli::AddFlashOptions(*command, options->flash);
  cli::AddWorkersOption(*command, options->workers);
  cli::AddEngineOption(*command, options->engine);
  cli::ShowFirst(*command, {"output", "ram", "vram", "predict", "ctx-size"});
  command->callback([options, &line] { line.action = [options, &line] { return Batch(*options, line); }; });
}

}  // namespace headrace::batch
