#include "exec/row_lookup.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

// A lookup of these numbers, `step` apart, in a table of ten rows.
struct Numbers {
  std::vector<int32_t> values;
  ggml_tensor table{}, numbers{}, node{};
  Lookup lookup;

  explicit Numbers(std::vector<int32_t> of, size_t step = 1) : values(std::move(of)) {
    table.ne[1] = 10;
    numbers.ne[0] = static_cast<int64_t>((values.size() + step - 1) / step);
    numbers.nb[0] = step * sizeof(int32_t);
    numbers.data = values.data();
    node.src[0] = &table;
    node.src[1] = &numbers;
    lookup.node = &node;
  }
};

TEST(RowNumbers, InOrderAndWithRepetitions) {
  std::vector<uint32_t> rows = {77};
  EXPECT_TRUE(RowNumbers(Numbers({9, 0, 9}).lookup, rows));
  EXPECT_EQ(rows, (std::vector<uint32_t>{9, 0, 9}));
}

TEST(RowNumbers, OfAViewThatLeavesSomeOut) {
  std::vector<uint32_t> rows;
  EXPECT_TRUE(RowNumbers(Numbers({1, -5, 2, 99, 3}, 2).lookup, rows));
  EXPECT_EQ(rows, (std::vector<uint32_t>{1, 2, 3}));
}

TEST(RowNumbers, OutsideOfTheTable) {
  std::vector<uint32_t> rows;
  for (const int32_t wrong : {-1, 10, INT32_MAX, INT32_MIN})
    EXPECT_FALSE(RowNumbers(Numbers({1, wrong}).lookup, rows)) << wrong;
}

TEST(RowNumbers, NotInMemory) {
  Numbers nowhere({1});
  nowhere.numbers.data = nullptr;
  std::vector<uint32_t> rows;
  EXPECT_FALSE(RowNumbers(nowhere.lookup, rows));
}

}  // namespace
}  // namespace headrace
