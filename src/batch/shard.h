// A part of a batch that one of several machines does. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace headrace::batch {

// Every `of`-th request, so that shards are about equally long. Together they have each request once.
struct Shard {
  uint64_t number = 1;  // from 1 to `of`
  uint64_t of = 1;

  bool whole() const { return of == 1; }
  // `index`: of RequestFile::entries.
  bool Has(uint64_t index) const { return index % of == number - 1; }
};

// "2/4". Error: kInvalidArgument.
Result<Shard> ParseShard(std::string_view text);

// "results-2-of-4.jsonl", without shards "results.jsonl".
std::string ResultsName(const Shard& shard);

}  // namespace headrace::batch
