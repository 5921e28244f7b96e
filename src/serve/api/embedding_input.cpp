#include "serve/api/embedding_input.h"

#include <algorithm>

#include <fmt/format.h>

#include "llama_server/prompt_count.h"

namespace headrace::serve {
namespace {

// Around a text, at most. A token is a byte of the text or more.
constexpr uint64_t kMostAround = 8;

}  // namespace

std::vector<int64_t> CutTokens(const std::vector<int64_t>& whole, const std::vector<int64_t>& plain, uint64_t most) {
  if (whole.size() <= most) return whole;
  const auto text = std::search(whole.begin(), whole.end(), plain.begin(), plain.end());
  std::vector<int64_t> tokens(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(most));
  if (text == whole.end()) return tokens;
  const auto after = text + static_cast<ptrdiff_t>(plain.size());
  const auto behind = std::min(static_cast<uint64_t>(whole.end() - after), most);
  std::copy(whole.end() - static_cast<ptrdiff_t>(behind), whole.end(), tokens.end() - static_cast<ptrdiff_t>(behind));
  return tokens;
}

Task<Result<Json>> InputsThatFit(std::string socket_path, std::vector<std::string> texts, uint64_t most, bool cut) {
  Json inputs = Json::array();
  for (size_t i = 0; i < texts.size(); ++i) {
    if (most == 0 || texts[i].size() + kMostAround <= most) {
      inputs.push_back(std::move(texts[i]));
      continue;
    }
    const auto whole = co_await TokensOf(socket_path, texts[i], true);
    if (!whole.ok()) co_return whole.status();
    if (whole->size() <= most) {
      inputs.push_back(std::move(texts[i]));
      continue;
    }
    if (!cut) {
      co_return Status(Code::kInvalidArgument,
                       fmt::format("input {} has {} tokens, and the model takes at most {} in each; \"truncate\": true "
                                   "takes its beginning",
                                   i + 1, whole->size(), most));
    }
    const auto plain = co_await TokensOf(socket_path, std::move(texts[i]), false);
    if (!plain.ok()) co_return plain.status();
    inputs.push_back(CutTokens(*whole, *plain, most));
  }
  co_return inputs;
}

}  // namespace headrace::serve
