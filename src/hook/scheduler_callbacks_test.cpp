#include "hook/scheduler_callbacks.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

// Only told apart, never looked into.
ggml_backend_sched_t Scheduler(uintptr_t number) { return reinterpret_cast<ggml_backend_sched_t>(number); }

TEST(SchedulerCallbacks, AreEachSchedulersOwnUntilItIsForgotten) {
  SchedulerCallbacks callbacks;
  int first = 0, second = 0;
  EXPECT_EQ(callbacks.Eval(Scheduler(1)).user_data, nullptr);
  callbacks.SetEval(Scheduler(1), {nullptr, &first});
  callbacks.SetEval(Scheduler(2), {nullptr, &second});
  EXPECT_EQ(callbacks.Eval(Scheduler(1)).user_data, &first);
  callbacks.Forget(Scheduler(1));
  EXPECT_EQ(callbacks.Eval(Scheduler(1)).user_data, nullptr);
  EXPECT_EQ(callbacks.Eval(Scheduler(2)).user_data, &second);
}

TEST(SchedulerCallbacks, ACopyCallbackKeepsItsPlace) {
  SchedulerCallbacks callbacks;
  int host = 0;
  EXPECT_FALSE(callbacks.KeepsCopy(Scheduler(1)));
  CopyCallback* const kept = callbacks.KeepCopy(Scheduler(1), {});
  EXPECT_TRUE(callbacks.KeepsCopy(Scheduler(1)));
  for (uintptr_t other = 2; other < 100; ++other) callbacks.KeepCopy(Scheduler(other), {});
  EXPECT_EQ(callbacks.KeepCopy(Scheduler(1), {nullptr, &host}), kept) << "the engine was given the address";
  EXPECT_EQ(kept->user_data, &host);
  callbacks.Forget(Scheduler(1));
  EXPECT_FALSE(callbacks.KeepsCopy(Scheduler(1)));
}

}  // namespace
}  // namespace headrace
