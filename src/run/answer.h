// One answer by a llama-server of its own, written to standard output as it is made.
#pragma once

#include <functional>
#include <string>

#include "base/status.h"
#include "engine/session.h"
#include "llama_server/lone_server.h"
#include "run/answer_text.h"

namespace headrace::run {

struct AnswerTask {
  serve::LoneServerSpec server;  // for one slot; --host is added
  std::string prompt;
  bool use_chat_template = false;  // answer it; else continue it, and write it before what follows
  std::string system_prompt;       // with the chat template, "" for none
  uint64_t context = 0;            // tokens of it, 0: unknown
  // Predicted time for a prompt of so many tokens, for the progress on a terminal; 0: unknown.
  std::function<double(uint64_t tokens)> prompt_seconds;
};

struct AnswerResult {
  cli::SessionResult session;  // as of a program that gives the answer and ends
  Status failure;              // why there is no whole answer, where `session` does not tell
  AnswerCounts counts;
};

// Returns when the server has ended and its files are gone. SIGINT, SIGTERM, SIGHUP and SIGQUIT end it, so does a
// reader of our output that goes away; what was written stays.
AnswerResult GiveAnswer(AnswerTask task);

}  // namespace headrace::run
