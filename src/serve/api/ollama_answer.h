// llama-server's answers in the words of Ollama's API: one object, or one a line.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "http/event_reader.h"
#include "http/net.h"
#include "llama_server/child_output.h"
#include "serve/api/answer_form.h"
#include "serve/api/ollama_request.h"

namespace headrace::serve {

// Takes OpenAI's pieces of tool calls, gives Ollama's calls. Pure.
class ToolCallCollector {
 public:
  void Take(const Json& pieces);
  bool empty() const { return calls_.empty(); }
  // Arguments as objects; those that are none as the text that they are.
  Json Calls() const;

 private:
  struct Call {
    std::string id, name, arguments;
  };
  std::vector<Call> calls_;  // by index
};

class OllamaAnswer : public AnswerForm {
 public:
  // `begin`: when the request came; `load`: how long it waited for the model.
  OllamaAnswer(OllamaRequest::Kind kind, std::string model, bool stream, bool completion, Clock::time_point begin,
               Clock::duration load);

  void Begin(AnswerHead& head) override;
  std::string Feed(std::string_view piece) override;
  std::string Finish() override;
  std::optional<std::string> Broken(std::string_view why) override;

  // The answer to a request without a prompt; `reason` is "load" or "unload".
  Json Empty(const char* reason) const;

 private:
  std::string TakeEvent(const std::string& data);
  void Note(const ChildOutput& output);
  // One object of the answer.
  Json Piece(const std::string& text, const std::string& thinking, const Json& calls) const;
  // With what is told at the end.
  Json Last(Json piece) const;

  const OllamaRequest::Kind kind_;
  const std::string model_;
  const bool stream_, completion_;
  const Clock::time_point begin_;
  const Clock::duration load_;
  int status_ = 200;
  EventReader events_;
  std::string body_;  // of what does not come in events
  ToolCallCollector calls_;
  std::string end_;
  std::optional<ChildTimings> timings_;
  bool failed_ = false;
};

// {"error": "…"}: the shape of Ollama's errors. Pure.
Reply OllamaError(const Reply& reply);

// As its clients read times: in UTC, with nanoseconds. Pure.
std::string UtcText(std::chrono::system_clock::time_point time);

}  // namespace headrace::serve
