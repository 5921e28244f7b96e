#include "engine/engine_variables.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace headrace::cli {
namespace {

using Words = std::vector<std::string>;

// As llama-server prints them.
constexpr const char* kHelp =
    "-m,    --model FNAME                    model path to load\n"
    "                                        (env: LLAMA_ARG_MODEL)\n"
    "-c,    --ctx-size N                     size of the prompt context (default: 0, 0 = loaded from model)\n"
    "                                        (env: LLAMA_ARG_CTX_SIZE)\n"
    "--swa-full                              use full-size SWA cache (default: false)\n"
    "                                        -1 = something\n"
    "                                        (env: LLAMA_ARG_SWA_FULL)\n"
    "-kvu,  --kv-unified, -no-kvu, --no-kv-unified\n"
    "                                        use single unified KV buffer shared across all sequences\n"
    "                                        (env: LLAMA_ARG_KV_UNIFIED)\n"
    "--no-host                               bypass host buffer allowing extra buffers to be used\n"
    "                                        (env: LLAMA_ARG_NO_HOST)\n"
    "--spec-draft-model, -md, --model-draft FNAME\n"
    "                                        draft model for speculative decoding (default: unused)\n"
    "                                        (env: LLAMA_ARG_SPEC_DRAFT_MODEL)\n"
    "-ctxcp, --ctx-checkpoints, --swa-checkpoints N\n"
    "                                        max number of context checkpoints to create per slot (default:\n"
    "                                        (env: LLAMA_ARG_CTX_CHECKPOINTS)\n"
    "--draft, --draft-n, --draft-max N       the argument has been removed. use --spec-draft-n-max or\n"
    "                                        (env: LLAMA_ARG_DRAFT_MAX)\n"
    "--host HOST                             ip address to listen\n"
    "                                        (env: LLAMA_ARG_HOST)\n";

Words Chosen(const Environment& variables, const Words& said = {}, const OptionIds& ours = {}) {
  return ChooseVariables(variables, ParseHelp(kHelp), said, ours).arguments.words();
}
Words Lines(const Environment& variables, const Words& said = {}, const OptionIds& ours = {}) {
  return ChooseVariables(variables, ParseHelp(kHelp), said, ours).lines;
}

TEST(ParseHelp, KnowsTheVariableOfAnOption) {
  const auto variables = ParseHelp(kHelp).variables();
  ASSERT_TRUE(variables.contains("LLAMA_ARG_CTX_SIZE"));
  EXPECT_EQ(variables.at("LLAMA_ARG_CTX_SIZE").names, (Words{"-c", "--ctx-size"}));
  EXPECT_TRUE(variables.at("LLAMA_ARG_CTX_SIZE").has_value);
  EXPECT_TRUE(variables.at("LLAMA_ARG_SPEC_DRAFT_MODEL").has_value);
  EXPECT_TRUE(variables.at("LLAMA_ARG_CTX_CHECKPOINTS").has_value) << "names that are longer than their column";
  EXPECT_EQ(variables.at("LLAMA_ARG_SWA_FULL").names, (Words{"--swa-full"}));
  EXPECT_FALSE(variables.at("LLAMA_ARG_SWA_FULL").has_value);
  EXPECT_FALSE(variables.at("LLAMA_ARG_KV_UNIFIED").has_value);
  EXPECT_FALSE(variables.contains("LLAMA_ARG_DRAFT_MAX")) << "the program refuses it";
}

TEST(ChooseVariables, CountAsTheirOptions) {
  EXPECT_EQ(Chosen({{"LLAMA_ARG_CTX_SIZE", "512"}, {"LLAMA_ARG_SWA_FULL", "1"}}),
            (Words{"--ctx-size", "512", "--swa-full"}));
  EXPECT_EQ(Chosen({{"LLAMA_ARG_SPEC_DRAFT_MODEL", "a b.gguf"}}), (Words{"--spec-draft-model", "a b.gguf"}));
  EXPECT_EQ(Chosen({{"LLAMA_ARG_SWA_FULL", "0"}}), Words()) << "a switch that is not set";
  EXPECT_EQ(Lines({{"LLAMA_ARG_CTX_SIZE", "512"}}),
            (Words{"options from the environment: --ctx-size 512 (LLAMA_ARG_CTX_SIZE)"}));
}

TEST(ChooseVariables, SwitchesGoBothWays) {
  EXPECT_EQ(Chosen({{"LLAMA_ARG_KV_UNIFIED", "on"}}), (Words{"--kv-unified"}));
  EXPECT_EQ(Chosen({{"LLAMA_ARG_KV_UNIFIED", "false"}}), (Words{"--no-kv-unified"}));
  EXPECT_EQ(Chosen({{"LLAMA_ARG_NO_KV_UNIFIED", "whatever"}}), (Words{"--no-kv-unified"}));
  EXPECT_EQ(Chosen({{"LLAMA_ARG_NO_HOST", "1"}}), (Words{"--no-host"}));
  EXPECT_EQ(Chosen({{"LLAMA_ARG_KV_UNIFIED", "maybe"}}), Words());
  EXPECT_EQ(Lines({{"LLAMA_ARG_KV_UNIFIED", "maybe"}}).size(), 1u);
}

TEST(ChooseVariables, WhatIsLeftOutIsSaid) {
  EXPECT_EQ(Lines({{"LLAMA_ARG_HOST", "::"}, {"LLAMA_ARG_MODEL", "m"}}),
            (Words{"ignored from the environment: LLAMA_ARG_HOST, LLAMA_ARG_MODEL: headrace sets that itself"}));
  EXPECT_EQ(Lines({{"LLAMA_ARG_CTX_SIZE", "9"}}, {"-c", "8"}),
            (Words{"ignored from the environment: LLAMA_ARG_CTX_SIZE: an option or the Modelfile overrides it"}));
  EXPECT_EQ(Lines({{"LLAMA_ARG_DRAFT_MAX", "9"}}),
            (Words{"ignored from the environment: LLAMA_ARG_DRAFT_MAX: the program has no such option"}));
  EXPECT_EQ(Chosen({{"LLAMA_ARG_CTX_SIZE", "9"}}, {}, {OptionId::kContext}), Words());
  // A key is no text for a log.
  for (const std::string& line : Lines({{"LLAMA_API_KEY", "secret"}}))
    EXPECT_EQ(line.find("secret"), std::string::npos);
}

TEST(ChooseVariables, AProgramThatGetsThemUnchangedReadsAll) {
  EXPECT_EQ(
      VariablesAsOptions({{"LLAMA_ARG_MODEL", "m.gguf"}, {"LLAMA_ARG_NO_KV_UNIFIED", ""}, {"LLAMA_ARG_OTHER", "1"}},
                         ParseHelp(kHelp))
          .words(),
      (Words{"--model", "m.gguf", "--no-kv-unified"}));
}

TEST(TakeEngineVariables, TakesThemOutOfTheEnvironment) {
  setenv("LLAMA_ARG_CTX_SIZE", "7=8", 1);
  setenv("LLAMA_API_KEY", "k", 1);
  setenv("LLAMA_TRACE", "0", 1);
  const Environment taken = TakeEngineVariables();
  EXPECT_EQ(taken, (Environment{{"LLAMA_API_KEY", "k"}, {"LLAMA_ARG_CTX_SIZE", "7=8"}}));
  EXPECT_EQ(std::getenv("LLAMA_ARG_CTX_SIZE"), nullptr);
  EXPECT_NE(std::getenv("LLAMA_TRACE"), nullptr) << "no option of a program";
  unsetenv("LLAMA_TRACE");
}

}  // namespace
}  // namespace headrace::cli
