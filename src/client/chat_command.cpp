#include "client/chat_command.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/say.h"
#include "base/size.h"
#include "client/chat_event.h"
#include "client/line_input.h"
#include "client/server_client.h"
#include "client/server_options.h"
#include "process/stop_signals.h"
#include "report/exit_status.h"
#include "report/finite_number.h"
#include "report/output.h"
#include "report/progress_line.h"

namespace headrace::client {
namespace {

constexpr const char* kExamples = R"(
Examples:
  headrace chat qwen3:30b                          a conversation; the server loads the model
  headrace chat qwen3:30b "Why is the sky blue?"   one answer on standard output
  headrace chat qwen3:30b < letter.txt             the same, with the prompt from standard input
  headrace chat --server box:8080                  with the model that was used last there

In a conversation, /clear starts a new one, a backslash at the end of a line continues it in the next line, Ctrl-C stops an
answer, and Ctrl-D ends the chat. `headrace run` chats without a server.
)";

// No context holds more, and a server takes no larger request unless it is told to.
constexpr uint64_t kLongestPrompt = 60 * kMiB;

struct ChatOptions {
  ServerOptions server;
  std::string model, prompt, system;
  double temperature = -1;
  int64_t tokens = 0;
  bool json = false;
};

struct Answer {
  std::string text, reasoning, finish_reason, model;
  Json usage, timings;
};

bool Stopped() { return cli::StopSignals::last() != 0; }

class Conversation {
 public:
  Conversation(ServerClient& client, const ChatOptions& options) : client_(client), options_(options) { Clear(); }

  void Clear() {
    messages_ = Json::array();
    if (!options_.system.empty()) messages_.push_back({{"role", "system"}, {"content", options_.system}});
  }

  // Hands the answer's text over as it comes. What was answered until an error or a stop stays in the conversation, a
  // message that got no answer does not. Errors: those of ServerClient::Stream, kInternal with what the server says in
  // the stream.
  Result<Answer> Ask(const std::string& message, const std::function<bool(std::string_view)>& on_text) {
    Json messages = messages_;
    messages.push_back({{"role", "user"}, {"content", message}});
    Answer answer;
    Status failed;
    cli::ProgressLine progress;
    const Status asked = client_.Stream("/v1/chat/completions", Body(messages), [&](std::string_view data) {
      const ChatEvent event = ParseChatEvent(data);
      if (!event.error.empty()) failed = Status(Code::kInternal, event.error);
      if (!event.news.empty()) progress.Show(event.news);
      if (!event.reasoning.empty()) progress.Show("thinking");
      if (!event.model.empty()) answer.model = event.model;
      if (!event.finish_reason.empty()) answer.finish_reason = event.finish_reason;
      if (event.usage.is_object()) answer.usage = event.usage;
      if (event.timings.is_object()) answer.timings = event.timings;
      answer.reasoning += event.reasoning;
      answer.text += event.content;
      if (event.content.empty()) return failed.ok();
      progress.Show("");
      return on_text(event.content) && failed.ok();
    });
    progress.Show("");
    if (!answer.text.empty()) {
      messages.push_back({{"role", "assistant"}, {"content", answer.text}});
      messages_ = std::move(messages);
    }
    if (!asked.ok()) return asked;
    if (!failed.ok()) return failed;
    return answer;
  }

 private:
  Json Body(const Json& messages) const {
    Json body = {{"messages", messages},
                 {"stream", true},
                 {"return_progress", true},
                 {"stream_options", {{"include_usage", true}}}};
    if (!options_.model.empty()) body["model"] = options_.model;
    if (options_.temperature >= 0) body["temperature"] = options_.temperature;
    if (options_.tokens > 0) body["max_tokens"] = options_.tokens;
    return body;
  }

  ServerClient& client_;
  const ChatOptions& options_;
  Json messages_;
};

std::string SpeedText(const Answer& answer) {
  const double tokens = NumberOf(answer.timings, "predicted_n"), ms = NumberOf(answer.timings, "predicted_ms");
  std::string text = fmt::format("{:.0f} tokens", tokens);
  if (ms > 0) text += fmt::format(", {:.1f} a second", 1000 * tokens / ms);
  if (answer.finish_reason == "length") text += "; cut off at the limit";
  return text;
}

int AnswerOnce(ServerClient& client, const ChatOptions& options, const std::string& prompt) {
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  Conversation conversation(client, options);
  bool wrote = false;
  const auto answer = conversation.Ask(prompt, [&](std::string_view text) {
    wrote = !options.json;
    return options.json || cli::WriteOutput(terminal ? ForTerminal(text) : std::string(text));
  });
  if (wrote) cli::WriteOutput("\n");
  if (Stopped()) return cli::kExitSignal + cli::StopSignals::last();
  if (!answer.ok()) return cli::Fail(answer.status());
  if (options.json) {
    const Json json = {{"model", answer->model},         {"content", answer->text},
                       {"reasoning", answer->reasoning}, {"finish_reason", answer->finish_reason},
                       {"usage", answer->usage},         {"timings", answer->timings}};
    cli::WriteOutput(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  } else if (answer->timings.is_object()) {
    Say(SpeedText(*answer));
  }
  return cli::kExitOk;
}

// To its end, or until a signal.
Result<std::string> ReadStandardInput() {
  std::string text;
  char piece[64 * kKiB];
  while (true) {
    const ssize_t count = ::read(STDIN_FILENO, piece, sizeof piece);
    if (count < 0 && errno == EINTR && !Stopped()) continue;
    if (count < 0) return Status(Code::kIo, fmt::format("standard input cannot be read: {}", std::strerror(errno)));
    if (count == 0) return text;
    text.append(piece, static_cast<size_t>(count));
    if (text.size() > kLongestPrompt)
      return Status(Code::kInvalidArgument, "standard input is longer than " + FormatSize(kLongestPrompt));
  }
}

int Converse(ServerClient& client, const ChatOptions& options) {
  // Before anybody has typed much.
  if (const auto there = client.Get("/health"); !there.ok()) return cli::Fail(there.status());
  Say(fmt::format("{}; /clear starts a new conversation, Ctrl-C stops an answer, Ctrl-D ends", client.address().url));
  Conversation conversation(client, options);
  while (true) {
    const auto message = ReadMessage();
    if (Stopped()) return cli::kExitSignal + cli::StopSignals::last();
    if (!message) break;
    if (message->find_first_not_of(" \t\n") == std::string::npos) continue;
    if (*message == "/exit" || *message == "/bye") return cli::kExitOk;
    if (*message == "/clear") {
      conversation.Clear();
      Say("a new conversation");
      continue;
    }
    const auto answer =
        conversation.Ask(*message, [](std::string_view text) { return cli::WriteOutput(ForTerminal(text)); });
    if (!cli::WriteOutput("\n")) break;
    if (const int signal = cli::StopSignals::last(); signal != 0) {
      if (signal != SIGINT) return cli::kExitSignal + signal;
      cli::StopSignals::Forget();
      Say("stopped");
    } else if (!answer.ok()) {
      SayError(answer.status().message());
    } else if (answer->timings.is_object()) {
      Say(SpeedText(*answer));
    }
  }
  cli::WriteOutput("\n");
  return cli::kExitOk;
}

int Chat(const ChatOptions& options) {
  auto address = AddressOf(options.server);
  if (!address.ok()) return cli::Fail(address.status());
  ServerClient client(std::move(*address));
  const cli::StopSignals signals;
  client.go_on = [] { return !Stopped(); };
  if (!options.prompt.empty()) return AnswerOnce(client, options, options.prompt);
  if (isatty(STDIN_FILENO) != 1) {
    const auto prompt = ReadStandardInput();
    if (Stopped()) return cli::kExitSignal + cli::StopSignals::last();
    if (!prompt.ok()) return cli::Fail(prompt.status());
    if (prompt->empty()) return cli::Fail("standard input is empty; give a prompt", cli::kExitUsage);
    return AnswerOnce(client, options, *prompt);
  }
  if (options.json) return cli::Fail("--json is for one answer: give a prompt", cli::kExitUsage);
  return Converse(client, options);
}

}  // namespace

void AddChatCommand(CLI::App& app, cli::CommandLine& line) {
  CLI::App* command = app.add_subcommand("chat", "Chat with a model of a running server");
  command->footer(kExamples);
  const auto options = std::make_shared<ChatOptions>();
  command->add_option("model", options->model, "A model that the server knows (default: the one that it used last)")
      ->type_name("MODEL");
  command->add_option("-p,--prompt,prompt", options->prompt, "Prompt: print one answer and end")->type_name("TEXT");
  command->add_option("--system", options->system, "System prompt")->type_name("TEXT");
  command->add_option("-n,--predict", options->tokens, "Largest number of tokens of an answer")
      ->type_name("TOKENS")
      ->check(CLI::PositiveNumber);
  command->add_option("--temp", options->temperature, "Temperature; 0 always takes the likeliest token")
      ->type_name("NUMBER")
      ->check(cli::FiniteNumber(0, 1000));
  command->add_flag("--json", options->json, "Print one answer as a JSON object, with its counts and times");
  AddServerOptions(*command, options->server);
  command->callback([options, &line] { line.action = [options] { return Chat(*options); }; });
}

}  // namespace headrace::client
