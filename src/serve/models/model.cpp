#include "serve/models/model.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include <fmt/format.h>

#include "base/log.h"
#include "base/size.h"
#include "engine/load_mode.h"
#include "http/http.h"
#include "llama_server/child_client.h"
#include "serve/models/load_command.h"
#include "serve/models/load_speculation.h"
#include "setup/workers.h"

namespace headrace::serve {
namespace {

constexpr Millis kGrace{5000}, kForcedGrace{300};  // for the end of a process
constexpr Millis kFailureWait{2000};
constexpr Millis kAliveWait{2000};
constexpr Millis kHeldCheck{1000};
constexpr Millis kCancelTime{5000};  // for broken answers to be told to their clients

// Private and shared memory of a process in bytes, 0 when it is gone.
uint64_t MemoryOf(pid_t process) {
  std::ifstream status(fmt::format("/proc/{}/status", process));
  std::string key, rest;
  uint64_t bytes = 0;
  for (uint64_t kib = 0; status >> key; std::getline(status, rest)) {
    if ((key == "RssAnon:" || key == "RssShmem:") && status >> kib) bytes += kib * kKiB;
  }
  return bytes;
}

// Of Prometheus text; 0 when it is not there.
uint64_t CounterIn(const std::string& text, const std::string& name) {
  const size_t at = text.find("\n" + name + " ");
  return at == std::string::npos ? 0 : static_cast<uint64_t>(std::strtod(text.c_str() + at + name.size() + 2, nullptr));
}

}  // namespace

const char* ToString(ModelState state) {
  switch (state) {
    case ModelState::kLoading:
      return "loading";
    case ModelState::kLoaded:
      return "loaded";
    case ModelState::kStopping:
      return "stopping";
    case ModelState::kCrashed:
      return "crashed";
    case ModelState::kGone:
      return "unloaded";
  }
  return "";
}

Model::Model(const Executor& executor, asio::thread_pool& worker, const Settings& settings, PromptCache& prompts,
             Culprits& culprits, LoadPlan plan, std::string socket_path)
    : worker_(worker),
      settings_(settings),
      prompts_(prompts),
      culprits_(culprits),
      plan_(std::move(plan)),
      server_(executor, std::move(socket_path)),
      admission_(executor, plan_.sharing.pool_tokens),
      changed_(executor) {}

void Model::SetState(ModelState state, std::string error) {
  state_ = state;
  error_ = std::move(error);
  changed_.NotifyAll();
}

void Model::SetPlan(LoadPlan plan) {
  plan_ = std::move(plan);
  admission_.SetPool(plan_.sharing.pool_tokens);
}

Task<Status> Model::Start() {
  const auto self = shared_from_this();
  const auto begin = started_at_ = Clock::now();
  SetState(ModelState::kLoading);
  Status status = co_await StartProcess();
  if (status.ok()) status = co_await ComputeOnce();
  if (status.ok()) status = CheckStreaming();
  if (status.ok()) co_await AskProperties();
  if (status.ok() && !stop_) adapters_ = co_await prompts_.Adapters(plan_, socket_path());
  if (status.ok() && !stop_) co_await prompts_.Restore(plan_, socket_path(), slots);
  if (stop_) status = Status(Code::kCancelled, fmt::format("{} was unloaded while it was loaded", id()));
  if (status.ok()) {
    load_seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    loaded_at = last_used_ = Clock::now();
    SetState(ModelState::kLoaded);
  } else if (server_.process() != nullptr) {
    co_await server_.process()->Stop(kGrace);
  }
  co_return status;
}

Task<Status> Model::StartProcess() {
  if (plan_.must_stream()) cli::SayMapped(settings_.rest);
  auto spec = MakeServerSpec(settings_, plan_, socket_path());
  if (!spec.ok()) co_return spec.status();
  co_return co_await server_.Start(std::move(*spec));
}

// The first pass brings the resident weights in and shows whether streaming works. Its answer does not matter: not
// every model answers every question.
Task<Status> Model::ComputeOnce() {
  std::string target = "/completion", body = R"({"prompt": "Hello", "n_predict": 1, "cache_prompt": false})";
  if (plan_.entry.kind == ModelKind::kReranker) {
    target = "/rerank";
    body = R"({"query": "Hello", "documents": ["Hello"]})";
  } else if (plan_.embedding) {
    target = "/embedding";
    body = R"({"content": "Hello"})";
  }
  if (stop_) co_return Status();
  const auto answer = co_await AskChild(socket_path(), "POST", target, body, kFirstPassTime);
  if (answer.ok() || stop_) co_return Status();
  if (co_await server_.process()->WaitForEnd(kFailureWait)) {
    const std::string end = co_await DescribeEnd();
    co_return Status(Code::kInternal, fmt::format("{} could not compute: llama-server {}", id(), end));
  }
  co_return Status(Code::kInternal, fmt::format("{} could not compute: {}", id(), answer.status().message()));
}

Status Model::CheckStreaming() const {
  if (!plan_.setup.passes_stream() || stop_) return {};
  // Also an error that streaming has outlived.
  const auto statistics = ReadStatistics();
  const std::string why =
      statistics && !statistics->last_error.empty() ? statistics->last_error : server_.WhyNotStreaming();
  if (why.empty()) return {};
  return Status(Code::kInternal,
                fmt::format("flash weight streaming was asked for {} and cannot be had: {}", id(), why));
}

Task<> Model::AskProperties() {
  const auto answer = co_await AskChild(socket_path(), "GET", "/props", "", kUsualQuestion);
  if (!answer.ok() || answer->status != 200) co_return;
  const Json props = JsonOrNull(answer->body);
  if (const uint64_t n = CountOf(props, "total_slots"); n > 0) slots = n;
  admission_.SetSlots(slots);
  const Json* settings = FindMember(props, "default_generation_settings");
  if (settings == nullptr) co_return;
  if (const uint64_t n = CountOf(*settings, "n_ctx"); n > 0) context = n;
  const Json* params = FindMember(*settings, "params");
  const Json* limit = params != nullptr ? FindMember(*params, "n_predict") : nullptr;
  if (limit != nullptr && limit->is_number_unsigned()) default_tokens = limit->get<uint64_t>();
}

// What its passes took, and how many of the tokens that were drafted in them were right, is for the next time.
Task<> Model::Learn(Millis time) {
  const auto statistics = ReadStatistics();
  if (!statistics || !statistics->streamed() || !plan_.speculation) co_return;
  cli::SpeculationRun run{*statistics, plan_.speculation->draft_tokens};
  if (busy_s_ > 0) run.sequences = requests_s_ / busy_s_;
  if (run.draft_tokens > 0) {
    const auto answer = co_await AskChild(socket_path(), "GET", "/metrics", "", time);
    if (answer.ok() && answer->status == 200) {
      run.drafted = CounterIn(answer->body, "llamacpp:spec_decode_num_draft_tokens_total");
      run.accepted = CounterIn(answer->body, "llamacpp:spec_decode_num_accepted_tokens_total");
    }
  }
  co_await OnWorker(worker_, [&] { cli::StoreLearned(LearnedPlaceOf(settings_, plan_), run); });
}

Task<> Model::Keep(Millis time) {
  if (kept_ || state_ != ModelState::kStopping || requests_ > 0 || !server_.process()->running()) co_return;
  kept_ = true;
  const auto limit = Clock::now() + time;
  // One that is stopped or hangs takes questions and never answers.
  const auto alive = co_await AskChild(socket_path(), "GET", "/health", "", std::min(time, kAliveWait));
  if (!alive.ok()) {
    LogWarning(fmt::format("{}: its process does not answer any more: it is killed, and nothing of its prompts is kept",
                           id()));
    hangs_ = true;
    co_return;
  }
  co_await Learn(std::min(time, kUsualQuestion));
  if (!other_adapters_) co_await prompts_.Save(plan_, socket_path(), slots, adapters_, limit);
}

Task<> Model::CancelAll(std::string why) {
  broken_off_ = std::move(why);
  // Their coroutines end later, not in here.
  for (const auto& [request, cancel] : computing_) cancel();
  admission_.Wake();
  const auto limit = Clock::now() + kCancelTime;
  while (requests_ > 0 && Clock::now() < limit)
    co_await changed_.WaitFor(std::chrono::ceil<Millis>(limit - Clock::now()));
}

Task<> Model::Stop(bool force, Millis keep, BreakOff limit) {
  const auto self = shared_from_this();
  const auto begin = Clock::now();
  if (!stop_ && state_ == ModelState::kLoaded) SetState(ModelState::kStopping);
  if (!force) {
    while (requests_ > 0 && state_ == ModelState::kStopping && server_.process()->running() && !held()) {
      if (limit.after.count() > 0 && Clock::now() - begin >= limit.after) {
        LogWarning(fmt::format("{}: answers are broken off: {}", id(), limit.why));
        co_await CancelAll(limit.why);
        break;
      }
      co_await changed_.WaitFor(kHeldCheck);
    }
  }
  co_await Keep(keep);
  stop_ = true;
  changed_.NotifyAll();
  admission_.Wake();
  // llama-server does not end before its requests have.
  const Millis grace = force || hangs_ ? kForcedGrace : kGrace;
  co_await server_.Stop(grace);
  if (state_ != ModelState::kGone) SetState(ModelState::kGone);
}

void Model::NoteEnd() {
  const auto process = server_.process();
  if (process == nullptr || process->running() || noted_end_.lock() == process) return;
  noted_end_ = process;
  // What others sent it is nobody's fault.
  switch (process->outcome().signal) {
    case SIGKILL:
    case SIGTERM:
    case SIGINT:
    case SIGHUP:
    case SIGQUIT:
      return;
    default:
      break;
  }
  std::vector<uint64_t> requests;
  for (const auto& [request, cancel] : computing_) requests.push_back(request);
  culprits_.NoteEnd(requests, Clock::now());
}

Task<std::string> Model::WaitForCrash() {
  const auto self = shared_from_this();
  constexpr Millis kLong{3'600'000};
  while (!stop_ && !co_await server_.process()->WaitForEnd(kLong)) {
  }
  if (stop_) co_return "";
  NoteEnd();
  std::string end = co_await DescribeEnd();
  co_return end;
}

Task<std::string> Model::DescribeEnd() {
  const auto self = shared_from_this();
  if (!plan_.workers.empty()) {
    std::string lost;
    const cli::EngineArguments workers = plan_.workers;
    co_await OnWorker(worker_, [&] { lost = cli::LostWorkers(workers); });
    if (!lost.empty()) co_return fmt::format("ended because {}", lost);
  }
  co_return server_.process()->DescribeEnd();
}

Task<std::string> Model::DescribeFailure() {
  const auto self = shared_from_this();
  const auto child = server_.process();
  if (!broken_off_.empty()) co_return broken_off_;
  if (stop_) co_return fmt::format("{} was unloaded", id());
  const bool ended = co_await child->WaitForEnd(kFailureWait);
  if (ended && !stop_) NoteEnd();
  if (ended) {
    const std::string end = co_await DescribeEnd();
    co_return fmt::format("the process of {} {}", id(), end);
  }
  co_return fmt::format("{} broke its answer off", id());
}

std::optional<uint64_t> Model::AnswerLimit() const {
  if (!admission_.limited() || default_tokens) return std::nullopt;
  const uint64_t limit = settings_.answer_tokens.value_or(request_tokens() / 2);
  return limit > 0 ? std::optional(limit) : std::nullopt;
}

uint64_t Model::HeldBytes() const {
  return server_.process() != nullptr && server_.process()->running() ? MemoryOf(server_.process()->id()) : 0;
}

void Model::CountRequests(int change) {
  const auto now = Clock::now();
  const double seconds = requests_ > 0 ? std::chrono::duration<double>(now - counted_at_).count() : 0;
  busy_s_ += seconds;
  // Others wait in line.
  requests_s_ += seconds * std::min(static_cast<double>(requests_), static_cast<double>(std::max<uint64_t>(1, slots)));
  counted_at_ = now;
  requests_ += change;
}

Lease::Lease(std::shared_ptr<Model> model) : model_(std::move(model)) {
  model_->CountRequests(1);
  ++model_->requests_in_all_;
  model_->last_used_ = Clock::now();
}

Lease::~Lease() {
  if (model_ == nullptr) return;
  model_->CountRequests(-1);
  model_->last_used_ = Clock::now();
  model_->changed_.NotifyAll();
}

}  // namespace headrace::serve
