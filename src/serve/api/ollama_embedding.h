// Embeddings in the words of Ollama's API. Pure, but for the form of an answer.
#pragma once

#include <string>
#include <vector>

#include "http/net.h"
#include "serve/api/answer_form.h"
#include "serve/api/keep_alive.h"
#include "serve/api/ollama_options.h"

namespace headrace::serve {

struct OllamaEmbedding {
  std::string model;
  bool one = false;                // POST /api/embeddings: one text, one vector
  std::vector<std::string> input;  // none: the model is only loaded
  uint64_t dimensions = 0;         // of each vector; 0: all
  bool truncate = true;            // inputs that are too long are cut; else they are refused
  KeepAlive keep_alive;
  OllamaOptions options;
};

// Of POST /api/embed (`one` false) and /api/embeddings. Error: kInvalidArgument.
Result<OllamaEmbedding> ParseOllamaEmbedding(const Json& body, bool one);

class OllamaEmbeddingAnswer : public AnswerForm {
 public:
  // `begin`: when the request came; `load`: how long it waited for the model.
  OllamaEmbeddingAnswer(const OllamaEmbedding& request, Clock::time_point begin, Clock::duration load)
      : request_(request), begin_(begin), load_(load) {}

  void Begin(AnswerHead& head) override;
  std::string Feed(std::string_view piece) override;
  std::string Finish() override;
  std::optional<std::string> Broken(std::string_view) override { return std::nullopt; }

  // With the vectors of llama-server's answer, null for none.
  Json Whole(const Json& answer) const;

 private:
  const OllamaEmbedding& request_;
  const Clock::time_point begin_;
  const Clock::duration load_;
  int status_ = 200;
  std::string body_;
};

}  // namespace headrace::serve
