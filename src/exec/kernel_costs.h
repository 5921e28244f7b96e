// What the engine's kernels cost on this machine for one type of weights: plain and repacked products by the number of
// columns, and repacking. Pure; thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace headrace {

struct KernelCosts {
  // The columns of the measured products. The kernels take four at a time and single ones beside.
  static constexpr std::array<int64_t, 8> kColumns = {1, 2, 4, 6, 8, 16, 32, 64};
  using Seconds = std::array<double, kColumns.size()>;

  // In seconds for each byte of the weight.
  Seconds plain{};
  Seconds packed{};
  double pack = 0;

  // Between two measured numbers of columns on a line, beyond the last on the line through the last two.
  static double At(const Seconds& seconds, int64_t columns);

  // Whether a product of rows in the file's layout takes less time when they are repacked first.
  bool RepackingPays(int64_t columns) const { return pack + At(packed, columns) < At(plain, columns); }
  // The fewest columns from which on it always pays; kNever when that is not within any batch's width.
  static constexpr int64_t kNever = INT64_MAX;
  int64_t PaysFrom() const;
  // The greatest share of rows that are repacked anew for each product of one column with which packed kernels still
  // take less time than plain ones; more than 1 where even all of them may be, 0 where packed ones are not faster.
  double MostRepacked() const;
  // "microseconds for a MiB: repacking 265, products plain / repacked 48 / 44 (1), 82 / 73 (2), ...", for debugging.
  std::string Describe() const;
};

}  // namespace headrace
