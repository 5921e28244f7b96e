// The name under which llama-server knows a model. It parts names at commas and takes blanks off their ends; such a
// model gets another one there, and its own in the answers. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace headrace::serve {

// `id` where llama-server leaves it as it is.
std::string EngineName(const std::string& id);

// Puts a model's id where an answer has its name for the engine, in whatever pieces the answer comes.
class NameRestorer {
 public:
  NameRestorer(const std::string& engine_name, const std::string& id);

  // Nothing to do.
  bool idle() const { return from_.empty(); }
  // What can be handed on of all that came so far; the rest comes with Finish.
  std::string Feed(std::string_view piece);
  std::string Finish() { return std::move(held_); }

 private:
  std::string from_, to_;  // as JSON writes them; from_ "" where both are the same
  std::string held_;       // the end, which may be the beginning of the name
};

}  // namespace headrace::serve
