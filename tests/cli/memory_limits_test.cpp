// A model of 4 GB in memory cgroups that are much smaller: it finishes, the kernel never has to kill, and `headrace
// plan` has said before what is then used.
#include <nlohmann/json.hpp>

#include "base/size.h"
#include "children_memory.h"
#include "group_command.h"

namespace headrace::cli {
namespace {

struct Limit {
  uint64_t bytes;
  uint64_t context;
  friend void PrintTo(const Limit& limit, std::ostream* out) {
    *out << FormatSize(limit.bytes) << " with " << limit.context << " tokens";
  }
};

class MemoryLimits : public GroupTest, public testing::WithParamInterface<Limit> {};

TEST_P(MemoryLimits, AreKept) {
  const auto [limit, context] = GetParam();
  const std::string model = Generated("llama-4g");
  // 106 tokens a sentence. The short context is filled; filling the long one would take the better part of an hour.
  std::string prompt;
  for (int i = 0; i < 4; ++i) {
    prompt +=
        "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of "
        "a wife. ";
  }
  const std::vector<std::string> engine = {"-ub", "128"};
  const auto with = [&](std::vector<std::string> arguments, const std::vector<std::string>& more) {
    arguments.insert(arguments.end(), {"-c", std::to_string(context)});
    arguments.insert(arguments.end(), more.begin(), more.end());
    arguments.push_back("--");
    arguments.insert(arguments.end(), engine.begin(), engine.end());
    return arguments;
  };
  MemoryGroup group(limit);
  if (!group.usable()) GTEST_SKIP() << "cannot make a memory cgroup here";
  const Outcome planned = StartIn(group, with({"plan", model, "--json"}, {})).Finish();
  const std::vector<std::string> run = {"run",   model,    "-f", tree_.File("prompt.txt", prompt), "-n", "4",
                                        "--raw", "--temp", "0"};
  if (context == 8192 && limit < kGiB + 200 * kMiB) {
    // The KV cache alone has 1 GiB. The error says what would work.
    EXPECT_NE(planned.status, 0);
    const Outcome refused = StartIn(group, with(run, {})).Finish();
    EXPECT_NE(refused.status, 0);
    EXPECT_NE(refused.err.find("KV cache 1.00 GiB"), std::string::npos) << refused.err;
    EXPECT_NE(refused.err.find("give at least --ram"), std::string::npos) << refused.err;
    EXPECT_NE(refused.err.find("a shorter context: -c 4096"), std::string::npos) << refused.err;
    EXPECT_EQ(group.Kills(), 0u);
    return;
  }
  ASSERT_EQ(planned.status, 0) << planned.err;
  const auto plan = nlohmann::json::parse(planned.out);
  RunningCommand command = StartIn(group, with(run, {}));
  PeakOfChildren peak(command.pid());
  const Outcome outcome = command.Finish();
  const auto measured = static_cast<double>(peak.Finish());
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("streamed per pass"), std::string::npos) << outcome.err;
  EXPECT_EQ(group.Kills(), 0u);
  EXPECT_LE(group.Peak(), limit);
  EXPECT_LE(measured, static_cast<double>(limit));
  const auto foretold = plan["memory"]["peak_bytes"].get<double>();
  const double filled = context == 512 ? 0 : plan["memory"]["context_bytes"].get<double>();
  EXPECT_LE(measured, 1.05 * foretold);
  EXPECT_GE(measured, 0.95 * (foretold - filled));
  RecordProperty("foretold", std::to_string(foretold));
  RecordProperty("measured", std::to_string(measured));
}

INSTANTIATE_TEST_SUITE_P(Slow, MemoryLimits,
                         testing::Values(Limit{3 * kGiB, 512}, Limit{2 * kGiB, 512}, Limit{kGiB, 512},
                                         Limit{717 * kMiB, 512}, Limit{3 * kGiB, 8192}, Limit{2 * kGiB, 8192},
                                         Limit{kGiB, 8192}, Limit{717 * kMiB, 8192}),
                         [](const auto& limit) {
                           return std::to_string(limit.param.bytes / kMiB) + "_" + std::to_string(limit.param.context);
                         });

}  // namespace
}  // namespace headrace::cli
