#include "llama_server/engine_name.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/hash.h"
#include "http/http.h"

namespace headrace::serve {

std::string EngineName(const std::string& id) {
  const bool plain = !id.empty() && id.find(',') == std::string::npos && id.front() != ' ' && id.back() != ' ';
  return plain ? id : fmt::format("headrace-model-{:016x}", HashBytes(id));
}

NameRestorer::NameRestorer(const std::string& engine_name, const std::string& id) {
  if (engine_name == id) return;
  from_ = Dump(Json(engine_name));
  to_ = Dump(Json(id));
}

std::string NameRestorer::Feed(std::string_view piece) {
  if (idle()) return std::string(piece);
  const std::string text = std::exchange(held_, "").append(piece);
  std::string result;
  size_t done = 0;
  for (size_t at = text.find(from_); at != std::string::npos; at = text.find(from_, done)) {
    result.append(text, done, at - done).append(to_);
    done = at + from_.size();
  }
  size_t held = std::min(from_.size() - 1, text.size() - done);
  while (held > 0 && text.compare(text.size() - held, held, from_, 0, held) != 0) --held;
  held_ = text.substr(text.size() - held);
  return result.append(text, done, text.size() - held - done);
}

}  // namespace headrace::serve
