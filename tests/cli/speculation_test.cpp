// Drafts and what plan says about them, as a user sees it.
#include <array>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "command_runner.h"

namespace headrace::cli {
namespace {

using Json = nlohmann::json;

class SpeculationCommand : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    ASSERT_EQ(Run({"engine"}).status, 0) << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
  }
  static std::string Draft() { return std::string(HEADRACE_SOURCE_DIR) + "/models/austen-draft-f16.gguf"; }
  Json Plan(std::vector<std::string> options) {
    std::vector<std::string> arguments = {"plan", Model(), "--json"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const Outcome outcome = Run(arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return Json::parse(outcome.out, nullptr, false);
  }
};

TEST_F(SpeculationCommand, PlanHasATableByAcceptance) {
  const Outcome text = Run({"plan", Model(), "--weights-ram", "8M", "--draft", Draft()});
  ASSERT_EQ(text.status, 0) << text.err;
  EXPECT_TRUE(Has(text.out, "\nright  draft  tokens/pass  tokens/s")) << text.out;
  EXPECT_TRUE(Has(text.out, "6.63 MiB of a draft model among them")) << text.out;
  EXPECT_TRUE(Has(text.out, "first token")) << text.out;
  const Json with = Plan({"--weights-ram", "8M", "--draft", Draft()})["speculation"];
  ASSERT_EQ(with["by_acceptance"].size(), 7u) << with.dump();
  EXPECT_GT(with["draft_token_s"].get<double>(), 0);
  const Json ngram = Plan({"--weights-ram", "4M"})["speculation"];
  EXPECT_TRUE(ngram["draft_token_s"].is_null()) << ngram.dump();
  EXPECT_EQ(Plan({"--weights-ram", "4M", "--speculate", "off"})["speculation"]["kind"], "none");
  EXPECT_EQ(Plan({"--weights-ram", "4M", "--draft-tokens", "2"})["speculation"]["draft_tokens"], 2);
  EXPECT_EQ(Plan({"--weights-ram", "4M", "--", "--spec-type", "ngram-mod"})["speculation"]["kind"], "user");
  EXPECT_EQ(Plan({"--flash-mode", "off"})["speculation"]["kind"], "none");
}

TEST_F(SpeculationCommand, DraftsThatCannotBe) {
  ExpectError({"plan", Model(), "--draft", Model()}, 2, "the same file");
  ExpectError({"plan", Draft(), "--draft", Model()}, 2, "not smaller");
  ExpectError({"plan", Model(), "--draft", tree_.Path("none.gguf")}, 2, "none.gguf");
  ExpectError({"plan", Model(), "--draft", tree_.File("text.gguf", "no model")}, 2, "text.gguf");
  ExpectError({"plan", Model(), "--speculate", "maybe"}, 2, "--speculate maybe");
  ExpectError({"plan", Model(), "--draft-tokens", "0"}, 2, "--draft-tokens");
}

TEST_F(SpeculationCommand, AnotherVocabularyNamesBothModels) {
  ASSERT_FALSE(std::string(HEADRACE_MAKE_MODEL).empty()) << "headrace-make-model was not built";
  const std::string other = tree_.Path("other.gguf");
  const Outcome made = Shell(std::string(HEADRACE_MAKE_MODEL) + " --preset tiny " + other + " 2>&1");
  ASSERT_EQ(made.status, 0) << made.out;
  const Outcome outcome = Run({"plan", other, "--draft", Draft()});
  const Outcome reversed = Run({"plan", Model(), "--draft", other});
  // Whichever of both is the smaller one.
  const std::string err = outcome.err + reversed.err;
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(reversed.status, 2);
  EXPECT_TRUE(Has(err, "another vocabulary")) << err;
  EXPECT_TRUE(Has(outcome.err, other) && Has(outcome.err, Draft())) << outcome.err;
}

TEST_F(SpeculationCommand, ADraftThatDoesNotFitIsNamed) {
  ExpectError({"plan", Model(), "--weights-ram", "4M", "--draft", Draft()}, 2,
              "6.63 MiB for the draft model, which stays in memory");
  ExpectError({"plan", Model(), "--weights-ram", "4M", "--draft", Draft()}, 2, "leave the draft model out");
  EXPECT_EQ(Run({"plan", Model(), "--weights-ram", "4M", "--draft", Draft(), "--speculate", "off"}).status, 0);
}

}  // namespace
}  // namespace headrace::cli
