#include "run/answer.h"

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "http/http.h"
#include "llama_server/child_client.h"
#include "llama_server/private_folder.h"
#include "llama_server/prompt_count.h"
#include "process/start_signals.h"
#include "report/exit_status.h"
#include "report/output.h"
#include "report/progress_line.h"
#include "run/answer_filter.h"

namespace headrace::run {
namespace {

using serve::Millis;
using serve::Task;

constexpr Millis kTick{100};
constexpr Millis kGrace{5000}, kHastyGrace{300};  // for the end of the server
constexpr Millis kFailureWait{2000};              // that a broken connection may be ahead of it

class Answer {
 public:
  Answer(AnswerTask task, const std::string& folder)
      : task_(std::move(task)), server_(loop_.get_executor(), folder + "/answer.sock"), signals_(loop_), tick_(loop_) {
    task_.server.arguments.insert(task_.server.arguments.end(), {"--host", server_.socket_path()});
  }

  AnswerResult Run() {
    for (const int signal : cli::EndingSignals()) signals_.add(signal);
    serve::Spawn(loop_.get_executor(), WatchSignals());
    serve::Spawn(loop_.get_executor(), ShowProgress());
    serve::Spawn(loop_.get_executor(), Work());
    loop_.run();  // until nothing is left to wait for
    progress_.Show("");
    if (wrote_) cli::WriteOutput(filter_.Finish());
    result_.session.statistics = server_.ReadStatistics();
    result_.session.unknown = !result_.session.statistics && server_.WhyNotStreaming().empty();
    if (output_failed_) result_.session.process = {cli::OutputStatus(cli::kExitOk), 0, false};
    // Who pressed Ctrl-C knows; other signals are named.
    if (signal_ != 0) result_.session.process = {cli::kExitSignal + signal_, signal_ == SIGINT ? 0 : signal_, false};
    if (signal_ != 0 || output_failed_) result_.failure = Status();
    return std::move(result_);
  }

 private:
  using Clock = std::chrono::steady_clock;

  Task<> Work() {
    Status status = co_await server_.Start(std::move(task_.server));
    if (status.ok()) status = co_await Ask();
    const bool whole = status.ok();
    if (const auto process = server_.process(); process != nullptr) {
      // A connection that broke is the server's end, as a rule, and that says more.
      if (status.code() == Code::kIo && signal_ == 0) co_await process->WaitForEnd(kFailureWait);
      if (!process->running()) result_.session.process = process->outcome();
    }
    result_.failure = status;
    co_await server_.Stop(whole ? kGrace : kHastyGrace);
    done_ = true;
    signals_.cancel();
    tick_.cancel();
  }

  // The engine's own program for templates, then the plain text: so what is written is what the model said, thoughts
  // included, as llama-completion writes it.
  Task<Status> Ask() {
    std::string text = task_.prompt;
    if (task_.use_chat_template) {
      Json messages = Json::array();
      if (!task_.system_prompt.empty()) messages.push_back({{"role", "system"}, {"content", task_.system_prompt}});
      messages.push_back({{"role", "user"}, {"content", task_.prompt}});
      const Json request = {{"messages", messages}};
      auto templated = co_await serve::ChatText(server_.socket_path(), serve::Dump(request));
      if (!templated.ok()) co_return templated.status();
      text = std::move(*templated);
    }
    const auto tokens = co_await serve::CountTokens(server_.socket_path(), text);
    if (!tokens.ok()) co_return tokens.status();
    state_.tokens = *tokens;
    // Of one that is too long the server says so; its pieces would take much memory.
    if (!task_.use_chat_template && (task_.context == 0 || *tokens <= task_.context)) {
      const auto pieces = co_await serve::TokenPieces(server_.socket_path(), text);
      if (!pieces.ok()) co_return pieces.status();
      echo_ = fmt::format("{}", fmt::join(*pieces, ""));
    }
    if (task_.prompt_seconds) state_.predicted_s = task_.prompt_seconds(state_.tokens);
    begin_ = Clock::now();
    const Json request = {{"prompt", text}, {"stream", true}, {"return_progress", true}, {"cache_prompt", false}};
    serve::OnEvent on_event = [this](std::string_view data) { return TakeEvent(data); };
    const auto answer = co_await serve::StreamFromChild(server_.socket_path(), "/completion", serve::Dump(request),
                                                        std::move(on_event));
    if (!refusal_.ok()) co_return refusal_;
    if (!answer.ok()) co_return answer.status();
    if (answer->status != 200) co_return serve::RefusalOf(answer->body);
    if (!ended_) co_return Status(Code::kIo, "llama-server broke off its answer");
    co_return Write("") ? Status() : Status(Code::kCancelled, "nobody reads the answer");
  }

  // False: no more is wanted.
  bool TakeEvent(std::string_view data) {
    const Json event = JsonOrNull(data);
    if (!event.is_object()) return true;  // "[DONE]"
    if (event.contains("error")) {
      refusal_ = serve::RefusalOf(std::string(data));
      return false;
    }
    if (const Json* progress = FindMember(event, "prompt_progress")) TakeProgress(*progress);
    if (IsTrue(event, "stop")) {
      ended_ = true;
      if (const Json* timings = FindMember(event, "timings")) {
        result_.counts = {CountOf(*timings, "predicted_n"), NumberOf(*timings, "predicted_ms") / 1000,
                          CountOf(*timings, "draft_n"), CountOf(*timings, "draft_n_accepted")};
      }
    }
    const std::string text = TextOf(event, "content");
    return text.empty() || Write(text);
  }

  void TakeProgress(const Json& progress) {
    state_.tokens = CountOf(progress, "total");
    state_.read = CountOf(progress, "processed");
    state_.read_after_s = Elapsed();
    if (state_.first_read > 0 || state_.read == 0) return;
    state_.first_read = state_.read;
    state_.first_read_after_s = state_.read_after_s;
  }

  // The prompt comes with the first of what follows: until then the terminal's line is the progress's.
  bool Write(std::string_view text) {
    progress_.Show("");
    const std::string ready = filter_.Feed(std::exchange(echo_, "") + std::string(text));
    wrote_ = true;
    if (!cli::WriteOutput(ready)) output_failed_ = true;
    return !output_failed_;
  }

  double Elapsed() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

  Task<> ShowProgress() {
    while (!done_ && !wrote_) {
      tick_.expires_after(kTick);
      serve::ErrorCode ignored;
      co_await tick_.async_wait(serve::Into(ignored));
      if (done_ || wrote_) break;
      state_.elapsed_s = Elapsed();
      progress_.Show(state_.tokens == 0 ? "loading the model" : PromptText(state_));
    }
  }

  Task<> WatchSignals() {
    serve::ErrorCode error;
    const int signal = co_await signals_.async_wait(serve::Into(error));
    if (error) co_return;
    signal_ = signal;
    co_await server_.Stop(kHastyGrace);
  }

  boost::asio::io_context loop_{1};
  AnswerTask task_;
  serve::LoneServer server_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer tick_;
  cli::ProgressLine progress_;
  AnswerFilter filter_;
  AnswerResult result_;
  PromptState state_;
  Clock::time_point begin_ = Clock::now();
  std::string echo_;  // of the prompt, not written yet
  Status refusal_;    // in the middle of its answer
  int signal_ = 0;    // that ended us
  bool ended_ = false, done_ = false, wrote_ = false, output_failed_ = false;
};

}  // namespace

AnswerResult GiveAnswer(AnswerTask task) {
  const serve::PrivateFolder folder;
  if (!folder.status().ok()) return {{}, folder.status(), {}};
  return Answer(std::move(task), folder.path()).Run();
}

}  // namespace headrace::run
