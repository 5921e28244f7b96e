#include "batch/shard.h"

#include <charconv>

#include <fmt/format.h>

namespace headrace::batch {
namespace {

constexpr uint64_t kMostShards = 1'000'000;

bool ParseWhole(std::string_view text, uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

Result<Shard> ParseShard(std::string_view text) {
  Shard shard;
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos || !ParseWhole(text.substr(0, slash), shard.number) ||
      !ParseWhole(text.substr(slash + 1), shard.of) || shard.number < 1 || shard.number > shard.of ||
      shard.of > kMostShards) {
    return Status(
        Code::kInvalidArgument,
        fmt::format("--shard {}: write the number of this shard and how many there are, from 1/4 to 4/4", text));
  }
  return shard;
}

std::string ResultsName(const Shard& shard) {
  return shard.whole() ? "results.jsonl" : fmt::format("results-{}-of-{}.jsonl", shard.number, shard.of);
}

}  // namespace headrace::batch
