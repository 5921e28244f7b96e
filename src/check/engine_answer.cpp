#include "check/engine_answer.h"

#include <boost/asio/signal_set.hpp>
#include <utility>

#include "http/http.h"
#include "llama_server/child_client.h"
#include "llama_server/private_folder.h"
#include "process/start_signals.h"

namespace headrace::check {
namespace {

using serve::Millis;
using serve::Task;

// For the bundled models: some hundred tokens, and far more than the vocabulary.
constexpr const char* kPrompt =
    "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a "
    "wife. However little known the "
    "feelings or views of such a man may be on his first entering a neighbourhood, this truth is so well fixed in the "
    "minds of the surrounding "
    "families, that he is considered the rightful property of some one or other of their daughters.";
constexpr int kTokens = 8, kWholeVocabulary = 1'000'000;
constexpr Millis kAnswerTime{600'000}, kGrace{5'000};

class Question {
 public:
  Question(serve::LoneServerSpec spec, const std::string& folder)
      : spec_(std::move(spec)), server_(loop_.get_executor(), folder + "/check.sock"), signals_(loop_) {
    spec_.arguments.insert(spec_.arguments.end(), {"--host", server_.socket_path()});
  }

  Result<EngineAnswer> Ask(int& signal) {
    for (const int ending : cli::EndingSignals()) signals_.add(ending);
    serve::Spawn(loop_.get_executor(), WatchSignals());
    serve::Spawn(loop_.get_executor(), Work());
    loop_.run();
    signal = signal_;
    if (signal_ != 0) return Status(Code::kCancelled, "it was interrupted");
    if (!status_.ok()) return status_;
    return std::move(answer_);
  }

 private:
  Task<> Work() {
    const bool streams = spec_.config.wants_library();
    status_ = co_await server_.Start(std::move(spec_));
    if (status_.ok()) status_ = co_await Complete();
    if (status_.ok() && streams) {
      answer_.why_not_streaming = server_.WhyNotStreaming();
      if (const auto statistics = server_.ReadStatistics()) answer_.bytes_read = statistics->bytes_read;
    }
    co_await server_.Stop(kGrace);
    signals_.cancel();
  }

  Task<Status> Complete() {
    const Json request = {{"prompt", kPrompt},  {"n_predict", kTokens},  {"temperature", 0},           {"seed", 1},
                          {"ignore_eos", true}, {"cache_prompt", false}, {"n_probs", kWholeVocabulary}};
    const auto answer =
        co_await serve::AskChild(server_.socket_path(), "POST", "/completion", serve::Dump(request), kAnswerTime);
    if (!answer.ok()) co_return answer.status();
    if (answer->status != 200) co_return serve::RefusalOf(answer->body);
    const Json json = JsonOrNull(answer->body);
    const Json* probabilities = FindMember(json, "completion_probabilities");
    if (probabilities == nullptr || !probabilities->is_array() || probabilities->size() != kTokens) {
      co_return Status(Code::kUnsupported, "this llama-server does not report probabilities of tokens");
    }
    answer_.text = TextOf(json, "content");
    answer_.probabilities = serve::Dump(*probabilities);
    co_return Status();
  }

  Task<> WatchSignals() {
    serve::ErrorCode error;
    const int signal = co_await signals_.async_wait(serve::Into(error));
    if (error) co_return;
    signal_ = signal;
    co_await server_.Stop(kGrace);
  }

  boost::asio::io_context loop_{1};
  serve::LoneServerSpec spec_;
  serve::LoneServer server_;
  boost::asio::signal_set signals_;
  EngineAnswer answer_;
  Status status_;
  int signal_ = 0;
};

}  // namespace

Result<EngineAnswer> AskEngine(serve::LoneServerSpec server, int& signal) {
  const serve::PrivateFolder folder;
  if (!folder.status().ok()) return folder.status();
  return Question(std::move(server), folder.path()).Ask(signal);
}

}  // namespace headrace::check
