#include "serve/server.h"

#include <unistd.h>

#include <boost/asio/signal_set.hpp>

#include <algorithm>
#include <csignal>
#include <optional>

#include <fmt/format.h>

#include "base/log.h"
#include "base/say.h"
#include "base/standard_streams.h"
#include "http/api_keys.h"
#include "http/cross_origin.h"
#include "http/guard.h"
#include "http/listener.h"
#include "http/web_files.h"
#include "llama_server/descriptor_limit.h"
#include "llama_server/private_folder.h"
#include "process/start_signals.h"
#include "serve/access_log.h"
#include "serve/api/api_shape.h"
#include "serve/api/dispatcher.h"
#include "serve/models/config_store.h"

namespace headrace::serve {
namespace {

constexpr Millis kDrainTime{60'000};

class Server {
 public:
  Server(const Settings& settings, const std::string& socket_folder)
      : settings_(settings),
        library_(settings.places, Files(settings)),
        store_(settings.config_path),
        manager_(loop_.get_executor(), worker_, settings, library_, store_, socket_folder),
        models_(loop_.get_executor(), worker_, settings, store_, manager_),
        stats_(manager_, requests_),
        hub_(worker_, settings, manager_, downloads_),
        ollama_(loop_.get_executor(), settings, manager_, downloads_),
        lm_studio_(settings, manager_),
        dispatcher_(manager_, models_, hub_, stats_, ollama_, lm_studio_, Stop),
        listener_(loop_.get_executor(), rules_) {}

  Status Run() {
    HEADRACE_RETURN_IF_ERROR(log_.Open(settings_.access_log, settings_.log_json ? LogFormat::kJson : LogFormat::kText));
    HEADRACE_RETURN_IF_ERROR(listener_.Open(settings_.host, settings_.port));
    guard_ = {listener_.loopback(), settings_.keys, settings_.origins, settings_.hosts};
    rules_.prefix = settings_.prefix;
    rules_.answer_headers = [this](const Request& request) { return CrossOriginHeaders(guard_.origins, request); };
    rules_.body_bytes = settings_.body_bytes;
    rules_.check = [this](const Request& request) {
      return CheckRequest(guard_, request, FindWebFile(request.path) != nullptr);
    };
    rules_.shape = [](const Request& request, Reply reply) {
      return reply.status < 400 ? std::move(reply) : ErrorInShape(ShapeOf(request.path), std::move(reply));
    };
    rules_.note_begin = [this] { requests_.NoteBegin(); };
    rules_.note_end = [this](const RequestRecord& record) {
      requests_.NoteEnd(record, Clock::now());
      log_.Write(record);
    };
    rules_.handle = [this](Exchange& exchange) { return Handle(exchange); };
    if (settings_.times_in_lines) BeginLinesWithTime();
    listener_.Begin(RaiseDescriptorLimit(kDescriptorsWanted));
    manager_.Begin();
    const bool v6 = settings_.host.find(':') != std::string::npos;
    // For who waits for it; the server does its work without that too.
    WriteAll(STDOUT_FILENO, fmt::format("headrace: listening on http://{}{}{}:{}\n", v6 ? "[" : "", settings_.host,
                                        v6 ? "]" : "", listener_.port()));
    if (const auto known = store_.Find(""); !known.ok()) LogWarning(known.status().message());
    Spawn(loop_.get_executor(), WaitForSignal());
    if (!settings_.model.empty()) Spawn(loop_.get_executor(), LoadFirst());
    loop_.run();
    // What became ready with the end: children's objects remove their files.
    loop_.restart();
    loop_.poll();
    downloads_.Finish();
    downloads_.Join();
    hub_.Join();
    worker_.join();
    return status_;
  }

 private:
  static std::vector<std::string> Files(const Settings& settings) {
    return settings.model_file.empty() ? std::vector<std::string>() : std::vector{settings.model_file};
  }

  // As the signals do that WaitForSignal waits for.
  static void Stop(bool now) {
    for (int i = 0; i < (now ? 2 : 1); ++i) std::raise(SIGTERM);
  }

  Task<> Handle(Exchange& exchange) {
    if (!IsPreflight(exchange.request())) {
      co_await dispatcher_.Handle(exchange);
      co_return;
    }
    Reply reply = PreflightReply(exchange.request());
    co_await exchange.Send(std::move(reply));
  }

  Task<> LoadFirst() {
    const auto lease = co_await manager_.Acquire(settings_.model);
    if (lease.ok() || lease.status().code() == Code::kCancelled || !settings_.places.empty()) co_return;
    // Nothing else could be served.
    status_ = lease.status();
    co_await End(false);
  }

  // Files that SIGHUP makes the server open again; without any it ends the server.
  bool has_files() const { return log_.is_file() || !settings_.key_file.empty(); }

  void ReadFilesAgain() {
    if (log_.is_file()) {
      const Status opened = log_.OpenAgain();
      LogWarning(opened.ok() ? "SIGHUP: the access log is opened again" : opened.message());
    }
    if (settings_.key_file.empty()) return;
    const auto keys = ReadKeyFile(settings_.key_file);
    if (!keys.ok()) {
      LogWarning(keys.status().message() + "; the keys from before stay");
      return;
    }
    guard_.keys = settings_.fixed_keys;
    guard_.keys.insert(guard_.keys.end(), keys->begin(), keys->end());
    LogWarning(fmt::format("SIGHUP: the keys are read again from {}", settings_.key_file));
  }

  Task<> WaitForSignal() {
    asio::signal_set signals(loop_);
    for (const int signal : cli::EndingSignals()) signals.add(signal);
    ErrorCode ignored;
    while (co_await signals.async_wait(Into(ignored)) == SIGHUP && has_files()) ReadFilesAgain();
    LogWarning("ending: requests may finish; once more to end at once");
    Spawn(loop_.get_executor(), End(true));
    co_await signals.async_wait(Into(ignored));
    listener_.CloseAll();
    co_await manager_.StopAll(true, Millis(0));
    loop_.stop();
  }

  Task<> End(bool drain) {
    stats_.Finish();
    downloads_.Finish();
    const auto limit = Clock::now() + kDrainTime;
    const Millis time = drain ? kDrainTime : Millis(0);
    Spawn(loop_.get_executor(), manager_.StopHeld());
    co_await listener_.Drain(time);
    const Millis keep = std::max(kForcedKeepTime, std::chrono::duration_cast<Millis>(limit - Clock::now()));
    co_await manager_.StopAll(true, keep);
    loop_.stop();
  }

  const Settings& settings_;
  Status status_;
  asio::io_context loop_{1};
  asio::thread_pool worker_{1};  // reads headers and measures disks, one thing after the other
  ModelLibrary library_;
  ConfigStore store_;
  GuardRules guard_;
  AccessLog log_;
  ConnectionRules rules_;
  ModelManager manager_;
  ModelsApi models_;
  RequestMetrics requests_;
  StatsApi stats_;
  Downloads downloads_;
  HubApi hub_;
  OllamaApi ollama_;
  LmStudioApi lm_studio_;
  Dispatcher dispatcher_;
  Listener listener_;
};

}  // namespace

Status RunServer(const Settings& settings) {
  NeverWaitForReader();
  const PrivateFolder sockets;
  HEADRACE_RETURN_IF_ERROR(sockets.status());
  // Never destroyed: coroutines that wait for something still refer to it.
  static Server* const server = new Server(settings, sockets.path());
  return server->Run();
}

}  // namespace headrace::serve
