#include "plan/placement.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

// Four layers of a mixture: 10 of each for every token, 100 of experts; a KV cache of 8.
PlacementModel Mixture() {
  PlacementModel model;
  model.layers.assign(4, {10, 0, 100});
  model.output_bytes = 20;
  model.context_bytes = 8;
  return model;
}

// Four layers, 40 of each attention, 60 of it feed-forward.
PlacementModel Dense() {
  PlacementModel model;
  model.layers.assign(4, {40, 60, 0});
  model.output_bytes = 20;
  model.context_bytes = 8;
  return model;
}

TEST(OnDevice, LayersAreCountedFromTheEndAndTheOutputIsOne) {
  const auto shared = [](uint64_t device_layers, uint64_t layer) {
    return OnDevice({device_layers, 0, 0}, WeightPart::kShared, layer, 4);
  };
  EXPECT_FALSE(OnDevice({}, WeightPart::kOutput, 0, 4));
  EXPECT_TRUE(OnDevice({1, 0, 0}, WeightPart::kOutput, 0, 4));
  EXPECT_FALSE(shared(1, 3));
  EXPECT_TRUE(shared(2, 3));
  EXPECT_FALSE(shared(2, 2));
  EXPECT_FALSE(shared(4, 0));
  EXPECT_TRUE(shared(5, 0));
  EXPECT_TRUE(shared(99, 0)) << "more than there are";
  EXPECT_FALSE(OnDevice({99, 0, 0}, WeightPart::kInput, 0, 4));
}

TEST(OnDevice, PartsOfTheFirstLayersStayWithTheProcessor) {
  EXPECT_FALSE(OnDevice({5, 2, 0}, WeightPart::kExperts, 1, 4));
  EXPECT_TRUE(OnDevice({5, 2, 0}, WeightPart::kExperts, 2, 4));
  EXPECT_TRUE(OnDevice({5, 2, 0}, WeightPart::kShared, 1, 4));
  EXPECT_TRUE(OnDevice({5, 2, 0}, WeightPart::kFfn, 1, 4));
  EXPECT_FALSE(OnDevice({5, 0, 1}, WeightPart::kFfn, 0, 4));
  EXPECT_TRUE(OnDevice({5, 0, 1}, WeightPart::kFfn, 1, 4));
}

TEST(BytesOf, ContextGoesWithItsLayer) {
  EXPECT_EQ(BytesOf(Mixture(), {5, 4, 0}).weights, 60u);
  EXPECT_EQ(BytesOf(Mixture(), {5, 4, 0}).context, 8u);
  EXPECT_EQ(BytesOf(Mixture(), {3, 4, 0}).weights, 40u);
  EXPECT_EQ(BytesOf(Mixture(), {3, 4, 0}).context, 4u);
  EXPECT_EQ(BytesOf(Mixture(), {1, 4, 0}).total(), 20u);
  EXPECT_EQ(BytesOf(Mixture(), {}).total(), 0u);
}

TEST(ChoosePlacement, AMixtureHasWhatEveryTokenUsesFirstThenLayersOfExperts) {
  EXPECT_EQ(ChoosePlacement(Mixture(), 468), (Placement{5, 0, 0}));
  EXPECT_EQ(ChoosePlacement(Mixture(), 467), (Placement{5, 1, 0}));
  EXPECT_EQ(ChoosePlacement(Mixture(), 168), (Placement{5, 3, 0}));
  EXPECT_EQ(ChoosePlacement(Mixture(), 68), (Placement{5, 4, 0}));
  EXPECT_EQ(ChoosePlacement(Mixture(), 67), (Placement{4, 4, 0})) << "a layer less of what every token uses";
  EXPECT_EQ(ChoosePlacement(Mixture(), 20), (Placement{1, 4, 0}));
  EXPECT_EQ(ChoosePlacement(Mixture(), 19), std::nullopt);
  EXPECT_EQ(LeastDeviceBytes(Mixture()), 20u);
}

TEST(ChoosePlacement, AnEngineWithoutTheOptionGetsWholeLayers) {
  PlacementModel model = Mixture();
  model.moves_experts = false;
  EXPECT_EQ(ChoosePlacement(model, 467), (Placement{4, 0, 0}));
  model = Dense();
  model.moves_ffn = false;
  EXPECT_EQ(ChoosePlacement(model, 427), (Placement{4, 0, 0}));
}

TEST(ChoosePlacement, ADenseModelFillsTheRoom) {
  EXPECT_EQ(ChoosePlacement(Dense(), 428), (Placement{5, 0, 0}));
  EXPECT_EQ(ChoosePlacement(Dense(), 427), (Placement{5, 0, 1})) << "368 instead of 326 of three whole layers";
  // One feed-forward matrix less is 308, three whole layers 326.
  EXPECT_EQ(ChoosePlacement(Dense(), 330), (Placement{4, 0, 0}));
  // Neither all attention (188) fits.
  EXPECT_EQ(ChoosePlacement(Dense(), 130), (Placement{2, 0, 0}));
  EXPECT_EQ(ChoosePlacement(Dense(), 19), std::nullopt);
}

// However much there is room for, what is chosen fits, and more room never holds less.
TEST(ChoosePlacement, NeverExceedsTheRoomAndGrowsWithIt) {
  for (const PlacementModel& model : {Mixture(), Dense()}) {
    uint64_t before = 0;
    for (uint64_t room = 0; room < 500; ++room) {
      const auto placement = ChoosePlacement(model, room);
      const uint64_t bytes = placement ? BytesOf(model, *placement).total() : 0;
      EXPECT_LE(bytes, room);
      EXPECT_GE(bytes, before) << room;
      EXPECT_EQ(placement.has_value(), room >= LeastDeviceBytes(model));
      before = bytes;
    }
  }
}

TEST(ShareWithExpertCache, AllLayersThatAreThereGoWhereTwoTokensChooseLess) {
  const auto share = ShareWithExpertCache(Mixture(), {5, 2, 0}, 0.25);
  ASSERT_TRUE(share);
  EXPECT_EQ(share->placement, (Placement{5, 4, 0}));
  EXPECT_EQ(share->cache_bytes, 200u);
  EXPECT_FALSE(ShareWithExpertCache(Mixture(), {5, 2, 0}, 0.26));
}

TEST(ShareWithExpertCache, NothingWhereAllIsThereOrNoExpertIs) {
  EXPECT_FALSE(ShareWithExpertCache(Mixture(), {5, 0, 0}, 0.01));
  EXPECT_FALSE(ShareWithExpertCache(Mixture(), {5, 4, 0}, 0.01));
  EXPECT_FALSE(ShareWithExpertCache(Mixture(), {4, 2, 0}, 0.01)) << "not all attention is there";
}

}  // namespace
}  // namespace headrace
