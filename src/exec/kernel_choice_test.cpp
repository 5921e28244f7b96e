#include "exec/kernel_choice.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

// Plain products cost `plain` seconds a column and byte, packed ones one, and no less than one column's reading.
KernelCosts Costs(double plain, double pack) {
  KernelCosts costs;
  for (size_t i = 0; i < KernelCosts::kColumns.size(); ++i) {
    const auto columns = static_cast<double>(KernelCosts::kColumns[i]);
    costs.plain[i] = plain * columns;
    costs.packed[i] = columns;
  }
  costs.pack = pack;
  return costs;
}

TEST(KernelCosts, LieOnALineBetweenWhatWasMeasured) {
  const KernelCosts costs = Costs(3, 10);
  EXPECT_DOUBLE_EQ(KernelCosts::At(costs.plain, 1), 3);
  EXPECT_DOUBLE_EQ(KernelCosts::At(costs.plain, 5), 15);
  EXPECT_DOUBLE_EQ(KernelCosts::At(costs.plain, 10), 30);
  EXPECT_DOUBLE_EQ(KernelCosts::At(costs.plain, 64), 192);
  EXPECT_DOUBLE_EQ(KernelCosts::At(costs.plain, 512), 1536);
}

TEST(KernelCosts, RepackingPaysFromWhereItsPriceIsSaved) {
  EXPECT_EQ(Costs(3, 10).PaysFrom(), 6);   // 10 + 6 < 18
  EXPECT_EQ(Costs(3, 9.9).PaysFrom(), 5);  // 9.9 + 5 < 15
  EXPECT_EQ(Costs(3, 1.5).PaysFrom(), 1);
  EXPECT_EQ(Costs(1.5, 50).PaysFrom(), 101);  // beyond what was measured
  EXPECT_EQ(Costs(1.0001, 50).PaysFrom(), KernelCosts::kNever);
  EXPECT_EQ(Costs(0.5, 0).PaysFrom(), KernelCosts::kNever);
}

TEST(KernelCosts, AnOutlierBelowDoesNotCount) {
  KernelCosts costs = Costs(3, 10);
  costs.plain[1] = 100;  // 2 columns
  EXPECT_TRUE(costs.RepackingPays(2));
  EXPECT_EQ(costs.PaysFrom(), 6);
}

TEST(KernelChoice, TheUsersWordIsFollowed) {
  KernelChoice plain(Kernels::kPlain), repack(Kernels::kRepack);
  EXPECT_FALSE(plain.NeedsCosts(GGML_TYPE_Q4_0, false));
  EXPECT_FALSE(repack.NeedsCosts(GGML_TYPE_Q4_0, false));
  for (int64_t columns : {1, 7, 512}) {
    EXPECT_FALSE(plain.PackStreamed(GGML_TYPE_Q4_0, columns));
    EXPECT_TRUE(repack.PackStreamed(GGML_TYPE_Q4_0, columns));
    EXPECT_FALSE(plain.PackExpert(GGML_TYPE_Q4_0, 512, columns));
    EXPECT_TRUE(repack.PackExpert(GGML_TYPE_Q4_0, 1, 1));
  }
  EXPECT_EQ(plain.ForDecode(), Snapshot::kPlain);
  EXPECT_EQ(repack.ForDecode(), Snapshot::kRepack);
}

TEST(KernelChoice, AutoRepacksWhereItPaysForTheType) {
  KernelChoice choice(Kernels::kAuto);
  EXPECT_FALSE(choice.PackStreamed(GGML_TYPE_Q4_0, 512));  // of what was not measured nothing is known
  choice.Learn(GGML_TYPE_Q4_0, false, Costs(3, 10));
  choice.Learn(GGML_TYPE_Q8_0, false, Costs(2, 10));
  EXPECT_FALSE(choice.PackStreamed(GGML_TYPE_Q4_0, 5));
  EXPECT_TRUE(choice.PackStreamed(GGML_TYPE_Q4_0, 6));
  EXPECT_FALSE(choice.PackStreamed(GGML_TYPE_Q8_0, 6));
  EXPECT_TRUE(choice.PackStreamed(GGML_TYPE_Q8_0, 512));
}

TEST(KernelChoice, WithoutAMeasurementWideBatchesAreRepacked) {
  KernelChoice choice(Kernels::kAuto);
  EXPECT_EQ(choice.Learn(GGML_TYPE_Q4_0, false, std::nullopt), 8);
  EXPECT_FALSE(choice.NeedsCosts(GGML_TYPE_Q4_0, false));
  EXPECT_FALSE(choice.PackStreamed(GGML_TYPE_Q4_0, 7));
  EXPECT_TRUE(choice.PackStreamed(GGML_TYPE_Q4_0, 8));
}

TEST(KernelChoice, DecidesOnce) {
  KernelChoice choice(Kernels::kAuto);
  EXPECT_TRUE(choice.NeedsCosts(GGML_TYPE_Q4_0, false));
  choice.Learn(GGML_TYPE_Q4_0, false, Costs(3, 10));
  EXPECT_FALSE(choice.NeedsCosts(GGML_TYPE_Q4_0, false));
  EXPECT_TRUE(choice.NeedsCosts(GGML_TYPE_Q4_0, true));
  choice.Learn(GGML_TYPE_Q4_0, false, Costs(3, 0));
  EXPECT_FALSE(choice.PackStreamed(GGML_TYPE_Q4_0, 5));
}

TEST(KernelChoice, ANarrowBatchesExpertsArePlain) {
  KernelChoice choice(Kernels::kAuto);
  choice.Learn(GGML_TYPE_Q4_0, true, Costs(3, 1));
  EXPECT_FALSE(choice.PackExpert(GGML_TYPE_Q4_0, 7, 7));
  EXPECT_TRUE(choice.PackExpert(GGML_TYPE_Q4_0, 8, 1));
  choice.Learn(GGML_TYPE_Q8_0, true, Costs(3, 10));
  EXPECT_FALSE(choice.PackExpert(GGML_TYPE_Q8_0, 512, 5));
  EXPECT_TRUE(choice.PackExpert(GGML_TYPE_Q8_0, 512, 6));
}

TEST(KernelChoice, TheKernelsOfDecodeAreNamed) {
  KernelChoice choice(Kernels::kAuto);
  EXPECT_EQ(choice.ForDecode(), Snapshot::kPlain);
  choice.Learn(GGML_TYPE_Q4_0, true, Costs(3, 1));
  choice.Learn(GGML_TYPE_Q4_0, false, Costs(3, 1));
  EXPECT_EQ(choice.ForDecode(), Snapshot::kRepack);
  choice.Learn(GGML_TYPE_Q8_0, false, Costs(3, 10));
  EXPECT_EQ(choice.ForDecode(), Snapshot::kMixed);
}

TEST(KernelChoice, DecodeIsNamedAfterSharedWeightsAndOneColumn) {
  KernelChoice experts(Kernels::kAuto), wider(Kernels::kAuto);
  experts.Learn(GGML_TYPE_Q4_0, true, Costs(3, 10));
  experts.Learn(GGML_TYPE_Q8_0, false, Costs(3, 1));
  EXPECT_EQ(experts.ForDecode(), Snapshot::kRepack);
  wider.Learn(GGML_TYPE_Q4_0, false, Costs(3, 3.9));
  EXPECT_TRUE(wider.PackStreamed(GGML_TYPE_Q4_0, 2));
  EXPECT_EQ(wider.ForDecode(), Snapshot::kPlain);
}

TEST(KernelChoice, TheCacheHoldsRepackedExpertsWhereTheUserSaysSo) {
  EXPECT_TRUE(KernelChoice(Kernels::kRepack).CachePackedExperts(GGML_TYPE_Q4_0));
  EXPECT_FALSE(KernelChoice(Kernels::kPlain).CachePackedExperts(GGML_TYPE_Q4_0));
  EXPECT_FALSE(KernelChoice(Kernels::kAuto).CachePackedExperts(GGML_TYPE_Q4_0));
}

TEST(KernelChoice, TheCacheHoldsRepackedExpertsWhereATokenGainsByIt) {
  KernelChoice little(Kernels::kAuto), much(Kernels::kAuto);
  for (KernelChoice* choice : {&little, &much}) {
    choice->Learn(GGML_TYPE_Q4_0, true, Costs(3, 8));  // gains 2 for each expert, and pays 8 for each that is missed
    choice->Learn(GGML_TYPE_Q8_0, true, Costs(0.9, 1));
    choice->Learn(GGML_TYPE_Q6_K, false, Costs(3, 10));
    choice->Learn(GGML_TYPE_Q4_K, true, std::nullopt);
  }
  little.DecideCache(0.26);
  much.DecideCache(0.24);
  EXPECT_FALSE(little.CachePackedExperts(GGML_TYPE_Q4_0));
  EXPECT_TRUE(much.CachePackedExperts(GGML_TYPE_Q4_0));
  EXPECT_TRUE(much.PackExpert(GGML_TYPE_Q4_0, 1, 1));  // the same bits wherever an expert comes from
  EXPECT_FALSE(little.PackExpert(GGML_TYPE_Q4_0, 1, 1));
  for (const ggml_type type : {GGML_TYPE_Q8_0, GGML_TYPE_Q6_K, GGML_TYPE_Q4_K})
    EXPECT_FALSE(much.CachePackedExperts(type));
  EXPECT_EQ(much.ForDecode(), Snapshot::kMixed);
  much.DecideCache(1);  // no second thoughts: texts would change
  EXPECT_TRUE(much.CachePackedExperts(GGML_TYPE_Q4_0));
}

}  // namespace
}  // namespace headrace
