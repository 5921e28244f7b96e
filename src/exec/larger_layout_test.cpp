// Packed layouts that need more memory than the file's, as AMX has: an engine that is made up here multiplies in one,
// so that this is tested on any processor.
#include <unistd.h>

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <list>
#include <map>

#include "exec/dense_multiplier.h"
#include "exec/dense_tiles.h"
#include "exec/engine_trust.h"

namespace headrace {
namespace {

// Rows in the file: 34 bytes for 32 values. Packed: of 16 rows, one behind the other, then the sum of each one's bytes
// and padding.
constexpr int64_t kLength = 256;
constexpr uint64_t kRowBytes = kLength / 32 * 34, kSumBytes = 64, kPackedRowBytes = kRowBytes + kSumBytes;
constexpr int64_t kGroup = 16;
constexpr int kThreads = 3;
// As AMX's kernels do: the block of columns from here on begins where it would if the result had no more rows than the
// weight.
constexpr int64_t kBlockColumns = 32;

struct Custom {
  ggml_custom1_op_t function;
  void* argument;
};
std::list<ggml_tensor> tensors;
std::map<const ggml_tensor*, Custom> customs;
std::list<std::vector<ggml_tensor*>> graphs;
bool sizes_grow_by_group = false;  // the layout cannot be cut by rows

bool IsPacked(const ggml_tensor& tensor) { return tensor.extra != nullptr; }
uint32_t SumOf(const uint8_t* row) {
  uint32_t sum = 0;
  for (uint64_t i = 0; i < kRowBytes; ++i) sum += row[i];
  return sum;
}

// Null: what should be a packed row is none.
const uint8_t* RowOf(const ggml_tensor& weight, int64_t row) {
  if (!IsPacked(weight)) return static_cast<const uint8_t*>(weight.data) + static_cast<uint64_t>(row) * kRowBytes;
  const auto* group =
      static_cast<const uint8_t*>(weight.data) + static_cast<uint64_t>(row / kGroup * kGroup) * kPackedRowBytes;
  const uint8_t* bytes = group + static_cast<uint64_t>(row % kGroup) * kRowBytes;
  uint32_t sum = 0;
  std::memcpy(&sum, group + kGroup * kRowBytes + static_cast<uint64_t>(row % kGroup) * kSumBytes, sizeof sum);
  return sum == SumOf(bytes) ? bytes : nullptr;
}

// Packed kernels give other bits.
float Value(const uint8_t* row, const float* column, bool packed) {
  int value = 0;
  for (int64_t i = 0; row != nullptr && i < kLength; ++i) value += row[i] * static_cast<int>(column[i]);
  return row == nullptr ? NAN : static_cast<float>(value) + (packed ? 0.25f : 0);
}

void MultiplyWhole(const ggml_tensor& node) {
  const ggml_tensor &weight = *node.src[0], &columns = *node.src[1];
  for (int64_t row = 0; row < node.ne[0]; ++row) {
    const uint8_t* const bytes = RowOf(weight, row);
    for (int64_t column = 0; column < node.ne[1]; ++column) {
      const int64_t block = IsPacked(weight) ? column / kBlockColumns * kBlockColumns : 0;
      auto* const to = reinterpret_cast<float*>(static_cast<uint8_t*>(node.data) +
                                                static_cast<uint64_t>(block * node.ne[0]) * sizeof(float) +
                                                static_cast<uint64_t>(column - block) * node.nb[1]);
      const auto* from = reinterpret_cast<const float*>(static_cast<const uint8_t*>(columns.data) +
                                                        static_cast<uint64_t>(column) * columns.nb[1]);
      to[row] = Value(bytes, from, IsPacked(weight));
    }
  }
}

ggml_backend_buffer_type_t* ExtraTypes(ggml_backend_dev_t) {
  static ggml_backend_buffer_type_t types[] = {reinterpret_cast<ggml_backend_buffer_type_t>(&types), nullptr};
  return types;
}
void SetThreads(ggml_backend_t, int) {}

template <typename T>
T Handle() {
  static int something;
  return reinterpret_cast<T>(&something);
}

GgmlApi MadeUpEngine() {
  GgmlApi api;
  api.op.mul_mat = GGML_OP_MUL_MAT;
  api.op.mul_mat_id = GGML_OP_MUL_MAT_ID;
  api.type_name = [](ggml_type) { return "made up"; };
  api.row_size = [](ggml_type, int64_t length) { return static_cast<size_t>(length / 32 * 34); };
  api.nbytes = [](const ggml_tensor* tensor) {
    return static_cast<size_t>(tensor->ne[1] * tensor->ne[2] * tensor->ne[3]) * tensor->nb[1];
  };
  api.init = [](ggml_init_params) { return Handle<ggml_context*>(); };
  api.free = [](ggml_context*) {};
  api.new_tensor_2d = [](ggml_context*, ggml_type, int64_t, int64_t) { return &tensors.emplace_back(); };
  api.map_custom1 = [](ggml_context*, ggml_tensor*, ggml_custom1_op_t function, int, void* argument) {
    ggml_tensor* node = &tensors.emplace_back();
    customs[node] = {function, argument};
    return node;
  };
  api.new_graph_custom = [](ggml_context*, size_t, bool) {
    return reinterpret_cast<ggml_cgraph*>(&graphs.emplace_back());
  };
  api.graph_clear = [](ggml_cgraph* graph) { reinterpret_cast<std::vector<ggml_tensor*>*>(graph)->clear(); };
  api.graph_add_node = [](ggml_cgraph* graph, ggml_tensor* node) {
    reinterpret_cast<std::vector<ggml_tensor*>*>(graph)->push_back(node);
  };
  api.backend_graph_compute = [](ggml_backend_t, ggml_cgraph* graph) {
    for (ggml_tensor* node : *reinterpret_cast<std::vector<ggml_tensor*>*>(graph)) {
      const auto custom = customs.find(node);
      if (custom == customs.end()) MultiplyWhole(*node);
      for (int thread = 0; custom != customs.end() && thread < kThreads; ++thread)
        custom->second.function(node, nullptr, thread, kThreads, custom->second.argument);
    }
    return GGML_STATUS_SUCCESS;
  };
  api.backend_dev_by_type = [](enum ggml_backend_dev_type) { return Handle<ggml_backend_dev_t>(); };
  api.backend_dev_init = [](ggml_backend_dev_t, const char*) { return Handle<ggml_backend_t>(); };
  api.backend_free = [](ggml_backend_t) {};
  api.backend_dev_backend_reg = [](ggml_backend_dev_t) { return Handle<ggml_backend_reg_t>(); };
  api.backend_reg_get_proc_address = [](ggml_backend_reg_t, const char* name) {
    return std::string_view(name) == "ggml_backend_set_n_threads" ? reinterpret_cast<void*>(&SetThreads)
                                                                  : reinterpret_cast<void*>(&ExtraTypes);
  };
  api.backend_buft_alloc_buffer = [](ggml_backend_buffer_type_t, size_t) { return Handle<ggml_backend_buffer_t>(); };
  api.backend_buft_name = [](ggml_backend_buffer_type_t) { return "LARGER"; };
  api.backend_buffer_free = [](ggml_backend_buffer_t) {};
  api.backend_dev_supports_op = [](ggml_backend_dev_t, const ggml_tensor*) { return true; };
  api.backend_buffer_init_tensor = [](ggml_backend_buffer_t, ggml_tensor* tensor) {
    tensor->extra = Handle<void*>();
    return GGML_STATUS_SUCCESS;
  };
  api.backend_buffer_get_alloc_size = [](ggml_backend_buffer_t, const ggml_tensor* tensor) {
    return static_cast<size_t>(tensor->ne[1]) * kPackedRowBytes + (sizes_grow_by_group ? 128 : 0);
  };
  api.backend_tensor_set = [](ggml_tensor* tensor, const void* data, size_t, size_t bytes) {
    const auto* from = static_cast<const uint8_t*>(data);
    EXPECT_EQ(bytes, static_cast<size_t>(tensor->ne[1]) * kRowBytes);
    for (int64_t row = 0; row < tensor->ne[1]; ++row, from += kRowBytes) {
      auto* group =
          static_cast<uint8_t*>(tensor->data) + static_cast<uint64_t>(row / kGroup * kGroup) * kPackedRowBytes;
      std::memcpy(group + static_cast<uint64_t>(row % kGroup) * kRowBytes, from, kRowBytes);
      const uint32_t sum = SumOf(from);
      std::memcpy(group + kGroup * kRowBytes + static_cast<uint64_t>(row % kGroup) * kSumBytes, &sum, sizeof sum);
    }
  };
  return api;
}

ggml_tensor Tensor(ggml_type type, size_t row_bytes, int64_t length, int64_t rows, void* data) {
  ggml_tensor tensor{};
  tensor.type = type;
  tensor.data = data;
  tensor.ne[0] = length;
  tensor.ne[1] = rows;
  tensor.ne[2] = tensor.ne[3] = 1;
  tensor.nb[0] = type == GGML_TYPE_F32 ? sizeof(float) : 34;
  tensor.nb[1] = row_bytes;
  tensor.nb[2] = tensor.nb[3] = row_bytes * static_cast<size_t>(rows);
  return tensor;
}

class AlwaysRoom : public Headroom {
 public:
  AlwaysRoom() : Headroom([](const std::string&) { return std::optional<std::string>(); }) {}
  bool Has(uint64_t) override { return true; }
};

// Three weights in a file, and passes over them.
class Host {
 public:
  Host(Kernels kernels, uint64_t budget)
      : budget_(budget),
        allowance_({.weights_bytes = budget}, {}, [](const std::string&) { return std::optional<std::string>(); }),
        layouts_(api_),
        weights_(api_, &layouts_, kernels == Kernels::kRepack),
        choice_(kernels) {
    path_ = ::testing::TempDir() + "larger_layout_test." + std::to_string(::getpid());
    bytes_.resize(kOffset + kWeights * kRows * kRowBytes);
    uint32_t random = 1;
    for (uint8_t& byte : bytes_) byte = static_cast<uint8_t>((random = random * 1664525 + 1013904223) >> 27);
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes_.data()), static_cast<std::streamsize>(bytes_.size()));
    file_ = std::make_shared<const SourceFile>(std::move(SourceFile::Open(path_)).value());
    choice_.Learn(GGML_TYPE_Q8_0, false, std::nullopt);  // from 8 columns on
  }
  ~Host() { std::filesystem::remove(path_); }

  void SetBudget(uint64_t bytes) { allowance_.SetWeightsLimit(budget_ = bytes); }

  // Multiplies all weights with so many columns: in the engine's graph where that is so, or between its pieces. Expects
  // `packed` kernels' results, of resident rows and of others.
  void Pass(int64_t columns, bool resident_packed, bool streamed_packed) {
    SCOPED_TRACE(::testing::Message() << columns << " columns, budget " << budget_);
    std::vector<float> values(static_cast<size_t>(columns * kLength)),
        results(static_cast<size_t>(kWeights * columns * kRows), NAN);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 7) - 3;
    std::list<ggml_tensor> nodes;
    ggml_tensor input = Tensor(GGML_TYPE_F32, kLength * sizeof(float), kLength, columns, values.data());
    pass_.plan.Clear();
    for (int64_t i = 0; i < kWeights; ++i) {
      ggml_tensor& weight =
          nodes.emplace_back(Tensor(GGML_TYPE_Q8_0, kRowBytes, kLength, kRows, bytes_.data() + Offset(i)));
      ggml_tensor& node = nodes.emplace_back(
          Tensor(GGML_TYPE_F32, kRows * sizeof(float), kRows, columns, results.data() + i * columns * kRows));
      node.op = api_.op.mul_mat;
      node.src[0] = &weight;
      node.src[1] = &input;
      Takeover& takeover = pass_.plan.takeovers.emplace_back();
      takeover.node = &node;
      takeover.weight = weights_.FindOrAdd(weight, {file_, Offset(i), 0}, false);
      ASSERT_TRUE(trust_.MayCut(*takeover.weight));
    }
    pass_.plan.files = {file_.get()};
    pass_.plan.columns = columns;
    ASSERT_TRUE(pass_.Begin().ok());
    std::vector<uint64_t> kept;
    for (Takeover& takeover : pass_.plan.takeovers) {
      bool changed = false;
      ASSERT_TRUE(pass_.BeginTurn(takeover, changed).ok());
      Compute(takeover);
      kept.push_back(std::max(takeover.weight->resident_rows, takeover.resident_rows));
      pass_.EndTurn(takeover);
    }
    pass_.End();
    for (int64_t i = 0; i < kWeights; ++i) {
      for (int64_t column = 0; column < columns; ++column) {
        for (int64_t row = 0; row < kRows; ++row) {
          const bool packed =
              static_cast<uint64_t>(row) < kept[static_cast<size_t>(i)] ? resident_packed : streamed_packed;
          const float expected = Value(bytes_.data() + Offset(i) + static_cast<uint64_t>(row) * kRowBytes,
                                       values.data() + column * kLength, packed);
          ASSERT_EQ(results[static_cast<size_t>((i * columns + column) * kRows + row)], expected)
              << "weight " << i << ", row " << row << ", column " << column;
        }
      }
    }
    EXPECT_LE(weights_.plan().total_bytes(), budget_);
    EXPECT_LE(weights_.resident_bytes() + pass_.memory().scratch().size() + weights_.plan().ring_bytes, budget_);
  }

  static constexpr int64_t kWeights = 3, kRows = 2016;  // the last row group is not whole
  static constexpr uint64_t kFileBytes = kWeights * kRows * kRowBytes,
                            kPackedBytes = kWeights * kRows * kPackedRowBytes;
  WeightStore& weights() { return weights_; }

 private:
  static constexpr uint64_t kOffset = 4096 + 32;
  static uint64_t Offset(int64_t weight) { return kOffset + static_cast<uint64_t>(weight * kRows) * kRowBytes; }

  void Compute(Takeover& takeover) {
    const bool wide = takeover.node->ne[1] > 8;
    if (wide && (!takeover.resident() || dense_.PacksResident(takeover))) {
      ASSERT_TRUE(dense_.Multiply(takeover).ok());
    } else if (!takeover.resident()) {
      tiles_.Begin(takeover, kThreads);
      uint64_t waited = 0;
      for (int thread = kThreads; thread-- > 0;) ASSERT_TRUE(tiles_.Work(thread, *workers_.Of(thread), waited).ok());
      tiles_.End();
    } else {
      ggml_tensor resident = takeover.weight->Resident(api_), node = *takeover.node;
      node.src[0] = &resident;
      MultiplyWhole(node);
    }
  }

  const GgmlApi api_ = MadeUpEngine();
  uint64_t budget_;
  std::string path_;
  std::vector<uint8_t> bytes_;
  std::shared_ptr<const SourceFile> file_;
  WeightsAllowance allowance_;
  SnapshotWriter snapshot_;
  PackedLayouts layouts_;
  AlwaysRoom headroom_;
  WeightStore weights_;
  ReadService reads_{[](unsigned depth) { return MakeReader(ReaderKind::kPread, depth); }};
  ExpertStore experts_{std::nullopt};
  RowStore rows_{api_};
  KernelChoice choice_;
  ApartTypes apart_;
  EngineTrust trust_{api_, choice_, apart_};
  PassAccount account_{snapshot_, reads_, weights_, experts_, rows_};
  StreamMemory memory_{reads_, allowance_, weights_, experts_, rows_, snapshot_, headroom_};
  RunningPass pass_{weights_, experts_, memory_, account_, headroom_, snapshot_, nullptr};
  Workers workers_{api_, apart_};
  DenseMultiplier dense_{api_, pass_, choice_, apart_, workers_};
  DenseTiles tiles_{pass_, choice_};
};

constexpr int64_t kWidths[] = {1, 5, 70, 3};
// All weights are resident as they are in the file, and not packed; and packed.
constexpr uint64_t kFileFits = Host::kFileBytes + 400 * kKiB, kAllFits = 4 * kMiB;

TEST(LargerLayout, RepackUsesItForAllRowsInWhateverMemory) {
  for (const uint64_t budget : {110 * kKiB, 1200 * kKiB, kFileFits, kAllFits}) {
    Host host(Kernels::kRepack, budget);
    for (const int64_t columns : kWidths) host.Pass(columns, true, true);
    EXPECT_EQ(host.weights().plan().streamed_bytes == 0, budget == kAllFits);
    EXPECT_EQ(host.weights().resident_bytes() > 0, budget > 110 * kKiB);
  }
}

TEST(LargerLayout, AutoKeepsRowsAsInTheFileWhileSomeStream) {
  for (const uint64_t budget : {110 * kKiB, 1200 * kKiB}) {
    // The pass in which rows become resident is a narrow or a wide one.
    for (const int64_t first : {1, 70}) {
      Host host(Kernels::kAuto, budget);
      host.Pass(first, first > 8, first > 8);
      for (const int64_t columns : kWidths) host.Pass(columns, columns > 8, columns > 8);
      EXPECT_GT(host.weights().plan().streamed_bytes, 0u);
    }
  }
}

TEST(LargerLayout, AutoKeepsRowsInItWhileAllFit) {
  Host host(Kernels::kAuto, kAllFits);
  for (const int64_t columns : kWidths) host.Pass(columns, true, true);
  EXPECT_EQ(host.weights().resident_bytes(), Host::kPackedBytes);
  // Less memory: all rows still fit as they are in the file.
  host.SetBudget(kFileFits);
  for (const int64_t columns : kWidths) host.Pass(columns, columns > 8, columns > 8);
  EXPECT_EQ(host.weights().resident_bytes(), Host::kFileBytes);
  host.SetBudget(1200 * kKiB);
  for (const int64_t columns : kWidths) host.Pass(columns, columns > 8, columns > 8);
  EXPECT_LT(host.weights().resident_bytes(), Host::kFileBytes);
}

TEST(LargerLayout, OneThatCannotBeCutByRowsIsLeftOut) {
  const GgmlApi api = MadeUpEngine();
  std::vector<uint8_t> bytes(64 * kRowBytes);
  ggml_tensor weight = Tensor(GGML_TYPE_Q8_0, kRowBytes, kLength, 64, bytes.data());
  PackedLayouts layouts(api);
  const PackedLayout* const layout = layouts.Choose(weight, false);
  ASSERT_NE(layout, nullptr);
  EXPECT_EQ(layout->row_bytes, kPackedRowBytes);
  EXPECT_FALSE(layout->moves.has_value());
  sizes_grow_by_group = true;
  EXPECT_EQ(layouts.Choose(weight, false), nullptr);
  sizes_grow_by_group = false;
  weight.ne[2] = 2;
  weight.ne[1] = 32;
  EXPECT_EQ(layouts.Choose(weight, false), nullptr) << "a stack of matrices";
  EXPECT_EQ(layouts.Choose(weight, true), nullptr) << "experts";
}

}  // namespace
}  // namespace headrace
