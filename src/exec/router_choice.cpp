#include "exec/router_choice.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace headrace {

Result<RouterChoice> RouterChoice::Read(const ggml_tensor& ids, uint32_t experts) {
  RouterChoice choice;
  choice.tokens_ = ids.ne[1];
  choice.first_.assign(experts + 1, 0);
  const auto id = [&](int64_t use, int64_t token) {
    int32_t value = 0;
    std::memcpy(&value,
                static_cast<const uint8_t*>(ids.data) + static_cast<size_t>(use) * ids.nb[0] +
                    static_cast<size_t>(token) * ids.nb[1],
                sizeof value);
    return value;
  };
  for (int64_t token = 0; token < ids.ne[1]; ++token) {
    for (int64_t use = 0; use < ids.ne[0]; ++use) {
      const int32_t expert = id(use, token);
      if (expert < 0 || static_cast<uint32_t>(expert) >= experts) {
        return Status(Code::kInternal, fmt::format("the router chose expert {} of {}", expert, experts));
      }
      ++choice.first_[static_cast<uint32_t>(expert) + 1];
    }
  }
  for (uint32_t expert = 0; expert < experts; ++expert) {
    if (choice.first_[expert + 1] > 0) choice.experts_.push_back(expert);
    choice.first_[expert + 1] += choice.first_[expert];
  }
  choice.pairs_.resize(choice.first_[experts]);
  std::vector<size_t> at(choice.first_.begin(), choice.first_.end() - 1);
  for (int64_t token = 0; token < ids.ne[1]; ++token) {
    for (int64_t use = 0; use < ids.ne[0]; ++use) {
      choice.pairs_[at[static_cast<uint32_t>(id(use, token))]++] = {static_cast<int32_t>(use),
                                                                    static_cast<int32_t>(token)};
    }
  }
  std::stable_sort(choice.experts_.begin(), choice.experts_.end(),
                   [&](uint32_t a, uint32_t b) { return choice.pairs(a).size() > choice.pairs(b).size(); });
  return choice;
}

}  // namespace headrace
