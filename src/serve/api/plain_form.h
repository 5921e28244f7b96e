// A child's answer as it is, with the model's own name in it.
#pragma once

#include <string>

#include "llama_server/engine_name.h"
#include "serve/api/answer_form.h"
#include "serve/api/api_shape.h"

namespace headrace::serve {

class PlainForm : public AnswerForm {
 public:
  // Of the answer to a request for `path` of the model `id`.
  PlainForm(std::string path, const std::string& id) : path_(std::move(path)), names_(EngineName(id), id) {}

  void Begin(AnswerHead& head) override;
  std::string Feed(std::string_view piece) override { return names_.Feed(piece); }
  std::string Finish() override { return names_.Finish(); }
  std::optional<std::string> Broken(std::string_view why) override;

 private:
  const std::string path_;
  NameRestorer names_;
  bool is_event_stream_ = false;
};

}  // namespace headrace::serve
