#include "serve/models/culprits.h"

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

class CulpritsTest : public ::testing::Test {
 protected:
  bool Refused(uint64_t request, Clock::time_point now) const { return culprits_.RefusedFor(request, now).count() > 0; }
  Culprits culprits_;
  const Clock::time_point start_ = Clock::now();
};

TEST_F(CulpritsTest, OnceIsNoProof) {
  culprits_.NoteEnd({7}, start_);
  EXPECT_TRUE(culprits_.Suspected(7, start_));
  EXPECT_FALSE(Refused(7, start_));
  EXPECT_FALSE(culprits_.Suspected(8, start_));
}

TEST_F(CulpritsTest, WhoWasThereTwiceAndAloneIsRefusedForAWhile) {
  culprits_.NoteEnd({7, 8}, start_);
  culprits_.NoteEnd({7}, start_ + std::chrono::seconds(5));
  EXPECT_TRUE(Refused(7, start_ + std::chrono::seconds(6)));
  EXPECT_FALSE(Refused(8, start_ + std::chrono::seconds(6)));
  EXPECT_FALSE(Refused(7, start_ + std::chrono::minutes(11)));
  EXPECT_FALSE(culprits_.Suspected(7, start_ + std::chrono::minutes(11)));
}

TEST_F(CulpritsTest, NobodyIsRefusedForTheCompanyOfOthers) {
  for (int i = 0; i < 5; ++i) culprits_.NoteEnd({7, 8}, start_);
  EXPECT_FALSE(Refused(7, start_));
  EXPECT_TRUE(culprits_.Suspected(7, start_));
}

TEST_F(CulpritsTest, IsBounded) {
  for (uint64_t i = 0; i < 5000; ++i) culprits_.NoteEnd({i}, start_ + std::chrono::milliseconds(i));
  EXPECT_FALSE(culprits_.Suspected(0, start_));
  EXPECT_TRUE(culprits_.Suspected(4999, start_ + std::chrono::seconds(5)));
}

}  // namespace
}  // namespace headrace::serve
