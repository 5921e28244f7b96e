#include "exec/kernel_costs.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/size.h"

namespace headrace {
namespace {

constexpr int64_t kWidest = 4096;  // columns of a batch

}  // namespace

double KernelCosts::At(const Seconds& seconds, int64_t columns) {
  size_t above = 1;
  while (above + 1 < kColumns.size() && kColumns[above] < columns) ++above;
  const double share =
      static_cast<double>(columns - kColumns[above - 1]) / static_cast<double>(kColumns[above] - kColumns[above - 1]);
  return seconds[above - 1] + share * (seconds[above] - seconds[above - 1]);
}

int64_t KernelCosts::PaysFrom() const {
  int64_t from = kNever;
  for (int64_t columns = kWidest; columns >= 1 && RepackingPays(columns); --columns) from = columns;
  return from;
}

double KernelCosts::MostRepacked() const {
  constexpr double kLeastPack = 1e-15;  // seconds for a byte
  return std::max(0.0, plain[0] - packed[0]) / std::max(kLeastPack, pack);
}

std::string KernelCosts::Describe() const {
  const auto us = [](double seconds_for_byte) { return seconds_for_byte * static_cast<double>(kMiB) * 1e6; };
  std::string text = fmt::format("microseconds for a MiB: repacking {:.0f}, products plain / repacked", us(pack));
  for (size_t i = 0; i < kColumns.size(); ++i) {
    text += fmt::format("{} {:.0f} / {:.0f} ({})", i == 0 ? "" : ",", us(plain[i]), us(packed[i]), kColumns[i]);
  }
  return text;
}

}  // namespace headrace
