#include "serve/models/admission.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace headrace::serve {
namespace {

class AdmissionTest : public ::testing::Test {
 protected:
  // Enters as number places_.size().
  void Enter(uint64_t tokens, bool alone = false, uint64_t slots = 0) {
    const size_t number = places_.size();
    places_.emplace_back();
    given_up_.push_back(false);
    Spawn(loop_.get_executor(), Wait(number, Need{tokens, slots, alone}));
    Run();
  }
  Task<> Wait(size_t number, Need need) {
    auto place = co_await admission_.Enter(need, [this, number] { return given_up_[number]; });
    if (place) places_[number].emplace(std::move(*place));
  }
  void Leave(size_t number) {
    places_[number].reset();
    Run();
  }
  void Run() {
    loop_.restart();
    loop_.poll();
  }
  std::vector<bool> Inside() const {
    std::vector<bool> inside;
    for (const auto& place : places_) inside.push_back(place.has_value());
    return inside;
  }

  asio::io_context loop_;
  Admission admission_{loop_.get_executor(), 100};
  std::vector<std::optional<Admission::Place>> places_;
  std::vector<bool> given_up_;
};

TEST_F(AdmissionTest, InTheOrderInWhichTheyCame) {
  Enter(60);
  Enter(60);
  Enter(50);
  EXPECT_EQ(Inside(), std::vector<bool>({true, false, false}));
  EXPECT_EQ(admission_.waiting(), 2u);
  Leave(0);
  EXPECT_EQ(Inside(), std::vector<bool>({false, true, false}));
  Enter(40);
  EXPECT_TRUE(places_[3].has_value()) << "to the last token";
}

TEST_F(AdmissionTest, SomePassOneForWhomThereIsNoRoom) {
  Enter(60);
  Enter(60);
  for (unsigned i = 0; i < Admission::kMostPass; ++i) {
    Enter(10);
    EXPECT_TRUE(places_.back().has_value()) << i;
    Leave(places_.size() - 1);
  }
  Enter(10);
  EXPECT_FALSE(places_.back().has_value()) << "the second would wait for ever";
  Leave(0);
  EXPECT_TRUE(places_[1].has_value());
  EXPECT_TRUE(places_.back().has_value());
}

TEST_F(AdmissionTest, SlotsAreRoomToo) {
  admission_.SetSlots(2);
  for (int i = 0; i < 3; ++i) Enter(1, false, 1);
  Enter(0);
  EXPECT_EQ(Inside(), std::vector<bool>({true, true, false, true}));
  Leave(0);
  EXPECT_TRUE(places_[2].has_value());
  Enter(1, false, 5);
  EXPECT_FALSE(places_[4].has_value());
  Leave(1);
  Leave(2);
  EXPECT_TRUE(places_[4].has_value()) << "more than there are counts as all";
}

TEST_F(AdmissionTest, TheWaitIsForetoldByHowLongOthersStay) {
  EXPECT_FALSE(admission_.ExpectedWait(1));
  Enter(50);
  Enter(50);
  const auto first = admission_.ExpectedWait(1), fourth = admission_.ExpectedWait(4);
  ASSERT_TRUE(first && fourth);
  EXPECT_GT(*fourth, *first);
}

TEST_F(AdmissionTest, WhoWantsMoreThanThereIsGetsAll) {
  Enter(1000);
  Enter(1);
  EXPECT_EQ(Inside(), std::vector<bool>({true, false}));
  Leave(0);
  EXPECT_EQ(Inside(), std::vector<bool>({false, true}));
}

TEST_F(AdmissionTest, WhoGivesUpHoldsNobodyUp) {
  Enter(100);
  Enter(50);
  Enter(100);
  given_up_[1] = true;
  admission_.Wake();
  Run();
  EXPECT_EQ(admission_.waiting(), 1u);
  EXPECT_FALSE(places_[1].has_value());
  Leave(0);
  EXPECT_TRUE(places_[2].has_value());
}

TEST_F(AdmissionTest, OneThatMustBeAloneIs) {
  Enter(10);
  Enter(10, true);
  Enter(0);
  Enter(10);
  EXPECT_EQ(Inside(), std::vector<bool>({true, false, false, false}));
  Leave(0);
  EXPECT_EQ(Inside(), std::vector<bool>({false, true, false, false}));
  Leave(1);
  EXPECT_EQ(Inside(), std::vector<bool>({false, false, true, true}));
}

TEST_F(AdmissionTest, OneThatWouldBeAloneAndGivesUpHoldsNobodyUp) {
  Enter(10);
  Enter(10, true);
  Enter(10);
  given_up_[1] = true;
  admission_.Wake();
  Run();
  EXPECT_TRUE(places_[2].has_value());
  Leave(0);
  Enter(100);
  EXPECT_FALSE(places_[3].has_value()) << "10 tokens are taken";
  Leave(2);
  EXPECT_TRUE(places_[3].has_value());
}

}  // namespace
}  // namespace headrace::serve
