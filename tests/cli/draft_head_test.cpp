// Models that carry a draft head in their own file, with the real engine. The model is generated: how often its head is
// right says nothing about published ones.
#include <nlohmann/json.hpp>

#include "children_memory.h"
#include "command_runner.h"

namespace headrace::cli {
namespace {

using Json = nlohmann::json;

class DraftHead : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    ASSERT_EQ(Run({"engine"}).status, 0) << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
    ASSERT_FALSE(std::string(HEADRACE_MAKE_MODEL).empty()) << "headrace-make-model was not built";
    // Of several seeds the one whose text repeats itself least.
    const Outcome made =
        Shell(std::string(HEADRACE_MAKE_MODEL) + " --preset head-tiny --seed 13 --quiet " + model_ + " 2>&1");
    ASSERT_EQ(made.status, 0) << made.out;
  }
  Outcome Generate(const std::vector<std::string>& options, const std::vector<std::string>& engine = {}) {
    std::vector<std::string> arguments = {"run",   model_, "-p",  "Once upon a time", "-n",   "40", "--temp", "0",
                                          "--raw", "-c",   "512", "--kernels",        "plain"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    arguments.insert(arguments.end(), {"--", "--ignore-eos"});
    arguments.insert(arguments.end(), engine.begin(), engine.end());
    return Run(arguments);
  }
  Json Plan(const std::vector<std::string>& options) {
    std::vector<std::string> arguments = {"plan", model_, "--json", "-c", "512"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const Outcome outcome = Run(arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return Json::parse(outcome.out, nullptr, false);
  }

  const std::string model_ = tree_.Path("head.gguf");
};

TEST_F(DraftHead, TheTextIsThatOfGreedyDecoding) {
  // By llama-server, as the others: it writes what is no UTF-8 in its own way.
  const Outcome stock = Generate({"--speculate", "on"}, {"--spec-type", "none"});
  ASSERT_EQ(stock.status, 0) << stock.err;
  EXPECT_FALSE(Has(stock.err, "weights stream") || Has(stock.err, "accepted")) << stock.err;
  EXPECT_GT(stock.out.size(), 40u);
  const Outcome plain = Generate({"--weights-ram", "6M", "--speculate", "off"});
  ASSERT_EQ(plain.status, 0) << plain.err;
  EXPECT_FALSE(Has(plain.err, "own head")) << plain.err;
  EXPECT_EQ(plain.out, stock.out);
  // Streamed, by itself; with all in memory, asked for; and told to the engine by the user.
  const Outcome streamed = Generate({"--weights-ram", "6M", "--draft-tokens", "3"});
  const Outcome whole = Generate({"--speculate", "on", "--draft-tokens", "3"});
  const Outcome told = Generate({"--weights-ram", "6M"}, {"--spec-type", "draft-mtp", "--spec-draft-n-max", "2"});
  for (const Outcome& outcome : {streamed, whole}) {
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(Has(outcome.err, "speculation: the model's own head drafts 3 tokens at a time")) << outcome.err;
  }
  for (const Outcome& outcome : {streamed, whole, told}) {
    EXPECT_EQ(outcome.out, stock.out) << outcome.err;
    EXPECT_TRUE(Has(outcome.err, "drafted tokens were accepted")) << outcome.err;
    EXPECT_FALSE(Has(outcome.err, "; 0 of ")) << outcome.err;
  }
  EXPECT_TRUE(Has(streamed.err, "weights stream")) << streamed.err;
  EXPECT_FALSE(Has(whole.err, "weights stream")) << whole.err;
}

TEST_F(DraftHead, PlanCountsWhatItTakes) {
  const Json with = Plan({"--weights-ram", "6M", "--draft-tokens", "3"}),
             without = Plan({"--weights-ram", "6M", "--speculate", "off"});
  EXPECT_EQ(with["speculation"]["kind"], "head") << with["speculation"].dump();
  EXPECT_EQ(without["speculation"]["kind"], "none");
  const Json &head = with["draft_head"], &unused = without["draft_head"];
  EXPECT_EQ(head["blocks"], 1);
  EXPECT_EQ(head["used"], true);
  EXPECT_EQ(unused["used"], false);
  EXPECT_EQ(head["weight_bytes"], unused["weight_bytes"]);
  EXPECT_GT(head["kept_bytes"].get<uint64_t>(), 0u);
  // Keys and values of one block for 512 tokens: two heads of 64, halves.
  EXPECT_EQ(with["memory"]["context_bytes"].get<uint64_t>() - without["memory"]["context_bytes"].get<uint64_t>(),
            512u * 2 * 2 * 2 * 64);
  EXPECT_GT(with["memory"]["compute_bytes"], without["memory"]["compute_bytes"]);
  EXPECT_NEAR(with["memory"]["least_bytes"].get<double>(), without["memory"]["least_bytes"].get<double>(), 1 << 20)
      << "with little memory there is no head";
  EXPECT_GT(with["model"]["expert_bytes"], without["model"]["expert_bytes"])
      << "the head's are cached among the others";
  const Outcome text = Run({"plan", model_, "--weights-ram", "6M", "--draft-tokens", "3"});
  EXPECT_TRUE(Has(text.out, "\ndraft head ")) << text.out;
  EXPECT_TRUE(Has(text.out, "speculation: the model's own head drafts 3 tokens at a time")) << text.out;
  EXPECT_TRUE(Plan({"--flash-mode", "off"})["draft_head"]["used"] == false);
}

// What just suffices for the model streams without its head, and nothing fails.
TEST_F(DraftHead, IsLeftOutWhereTheMemoryIsTooLittleForIt) {
  const Json plan = Plan({"--weights-ram", "1300K", "--draft-tokens", "3"});
  EXPECT_EQ(plan["draft_head"]["used"], false) << plan["decision"];
  EXPECT_NE(plan["speculation"]["kind"], "head");
}

// What is foretold is an upper bound, with the context nearly full; half of it at most is nobody's.
TEST_F(DraftHead, TakesNoMoreMemoryThanIsForetold) {
  // A pass is as wide in both: otherwise what was measured between them may change it.
  const std::vector<std::string> options = {"-c", "2048", "--weights-ram", "6M", "--draft-tokens", "3"};
  std::vector<std::string> planned = {"plan", model_, "--json"},
                           arguments = {"run", model_, "-n", "48", "--temp", "0", "--raw", "-f"};
  planned.insert(planned.end(), options.begin(), options.end());
  planned.insert(planned.end(), {"--", "--batch-size", "128", "--ubatch-size", "128"});
  const Outcome plan = Run(planned);
  ASSERT_EQ(plan.status, 0) << plan.err;
  const auto foretold = Json::parse(plan.out)["memory"]["peak_bytes"].get<uint64_t>();
  std::string prompt;
  while (prompt.size() < 1900) prompt += "Once more ";
  arguments.push_back(tree_.File("prompt.txt", prompt));
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.insert(arguments.end(), {"--", "--ignore-eos", "--batch-size", "128", "--ubatch-size", "128"});
  RunningCommand command = Start(arguments);
  PeakOfChildren peak(command.pid());
  const Outcome outcome = command.Finish();
  const uint64_t used = peak.Finish();
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "the model's own head drafts")) << outcome.err;
  EXPECT_LE(used, foretold);
  EXPECT_GT(used, foretold / 2);
  RecordProperty("foretold", std::to_string(foretold));
  RecordProperty("used", std::to_string(used));
}

}  // namespace
}  // namespace headrace::cli
