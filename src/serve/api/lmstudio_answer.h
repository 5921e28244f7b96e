// llama-server's answers as LM Studio's REST API gives them: OpenAI's, with what the answer took and who gave it.
#pragma once

#include <string>

#include "http/event_reader.h"
#include "llama_server/child_output.h"
#include "serve/api/answer_form.h"
#include "serve/models/model.h"

namespace headrace::serve {

// One of GET /api/v0/models; `model` is null when it is not loaded. Pure.
Json LmStudioModel(const ModelEntry& entry, const std::string& name, const Model* model);

// What is the same in every answer of one model: "model_info" and "runtime". Pure.
Json LmStudioAbout(const Model& model, const std::string& engine_version);

class LmStudioAnswer : public AnswerForm {
 public:
  // `id`: of the model.
  LmStudioAnswer(std::string id, Json about) : id_(std::move(id)), about_(std::move(about)) {}

  void Begin(AnswerHead& head) override;
  std::string Feed(std::string_view piece) override;
  std::string Finish() override;
  std::optional<std::string> Broken(std::string_view why) override;

 private:
  // Adds "stats" and the rest to the part of the answer that has llama-server's "timings".
  Json Completed(Json json);

  const std::string id_;
  const Json about_;
  int status_ = 200;
  bool is_event_stream_ = false;
  std::string end_;  // OpenAI's finish_reason, once it came
  EventReader events_;
  std::string body_;  // of what does not come in events
};

}  // namespace headrace::serve
