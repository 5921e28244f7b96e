#include "serve/models/admission.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace headrace::serve {
namespace {

class AdmissionTest : public ::testing::Test {
 protected:
  // Enters as number places_.size().
  void Enter(uint64_t tokens, bool alone = false) {
    const size_t number = places_.size();
    places_.emplace_back();
    given_up_.push_back(false);
    Spawn(loop_.get_executor(), Wait(number, tokens, alone));
    Run();
  }
  Task<> Wait(size_t number, uint64_t tokens, bool alone) {
    auto place = co_await admission_.Enter(
        tokens, [this, number] { return given_up_[number]; }, alone);
    places_[number].emplace(std::move(place));
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
  Enter(10);
  EXPECT_EQ(Inside(), std::vector<bool>({true, false, false})) << "the third would fit, and the second wait for ever";
  EXPECT_EQ(admission_.waiting(), 2u);
  Leave(0);
  EXPECT_EQ(Inside(), std::vector<bool>({false, true, true}));
  Enter(30);
  EXPECT_TRUE(places_[3].has_value()) << "to the last token";
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
  places_[1].reset();
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
  Leave(1);
  Enter(100);
  EXPECT_FALSE(places_[3].has_value()) << "10 tokens are taken";
  Leave(2);
  EXPECT_TRUE(places_[3].has_value());
}

}  // namespace
}  // namespace headrace::serve
