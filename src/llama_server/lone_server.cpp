#include "llama_server/lone_server.h"

#include <unistd.h>

#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "llama_server/child_client.h"

namespace headrace::serve {
namespace {

constexpr Millis kPoll{50};

}  // namespace

LoneServer::LoneServer(const Executor& executor, std::string socket_path)
    : executor_(executor), socket_path_(std::move(socket_path)) {}

LoneServer::~LoneServer() { unlink(socket_path_.c_str()); }

ChildSpec LoneServer::MakeChild(LoneServerSpec spec) const {
  ChildSpec child;
  child.label = std::move(spec.label);
  child.program = std::move(spec.program);
  child.arguments = std::move(spec.arguments);
  child.debug = spec.config.debug;
  child.own_group = spec.own_group;
  child.streams = spec.config.wants_library();
  spec.config.snapshot_path = snapshot_.path();
  child.environment = spec.config.ToEnvironment();
  // ggml would start a debugger on a crashing process, and its requests would wait for that.
  child.environment.emplace_back("GGML_NO_BACKTRACE", "1");
  if (spec.config.wants_library()) {
    child.environment.emplace_back("LD_PRELOAD", cli::PreloadValue(std::getenv("LD_PRELOAD"), spec.library));
  }
  return child;
}

Task<Status> LoneServer::Start(LoneServerSpec spec, std::function<void()> on_wait) {
  const std::string label = spec.label;
  const Status cancelled(Code::kCancelled, fmt::format("{} was unloaded while it was loaded", label));
  if (stopped_) co_return cancelled;
  unlink(socket_path_.c_str());
  auto started = ChildProcess::Start(executor_, MakeChild(std::move(spec)));
  if (!started.ok()) co_return started.status();
  const auto process = process_ = std::move(*started);
  while (!stopped_) {
    const auto health = co_await AskChild(socket_path_, "GET", "/health", "", kQuickQuestion);
    if (health.ok() && health->status == 200) co_return Status();
    if (on_wait) on_wait();
    if (!co_await process->WaitForEnd(kPoll)) continue;
    if (stopped_) break;
    const auto statistics = ReadStatistics();
    const std::string library = statistics ? statistics->last_error : "";
    co_return Status(Code::kInternal, fmt::format("{} could not be loaded: llama-server {}{}{}", label,
                                                  process->DescribeEnd(), library.empty() ? "" : "; ", library));
  }
  co_return cancelled;
}

Task<> LoneServer::Stop(Millis grace) {
  stopped_ = true;
  if (process_ != nullptr) co_await process_->Stop(grace);
  unlink(socket_path_.c_str());
}

std::string LoneServer::WhyNotStreaming() const {
  if (snapshot_.path().empty()) return "";  // it works without, and nobody can tell
  const auto statistics = ReadStatistics();
  if (statistics && statistics->streamed() && statistics->passes > 0) return "";
  if (statistics && !statistics->last_error.empty()) return statistics->last_error;
  if (statistics && statistics->on_devices()) return "";  // the engine put all layers there
  return "llama-server computed without it; its llama.cpp may be of another kind: see `headrace doctor`";
}

}  // namespace headrace::serve
