#include "setup/speculation.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "setup/speculation_report.h"
#include "setup/test_model.h"

namespace headrace::cli {
namespace {

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

ModelSetup Model(uint64_t budget, uint64_t draft_bytes = 0) {
  EngineMemory engine;
  engine.draft_weight_bytes = draft_bytes;
  return TestModel(budget, FlashMode::kAuto, engine);
}

OptionNames Known() {
  return ParseHelp(
      "-md, --model-draft FNAME\n--spec-type none,draft-simple,draft-mtp,ngram-simple\n--spec-draft-n-max "
      "N\n--spec-ngram-simple-size-n N\n"
      "--spec-ngram-simple-size-m N\n");
}

class ChooseSpeculationTest : public testing::Test {
 protected:
  Speculation Choose(SpeculationOptions options = {}) {
    const auto chosen = ChooseSpeculation(options, input_);
    EXPECT_TRUE(chosen.ok()) << chosen.status().message();
    return chosen.ok() ? *chosen : Speculation();
  }
  // Of the option that has this name; "" when it is not there.
  static std::string Value(const Speculation& chosen, const std::string& name) {
    for (const EngineOption& option : chosen.options) {
      if (std::find(option.names.begin(), option.names.end(), name) != option.names.end()) return option.value;
    }
    return "";
  }

  const ModelSetup streaming_ = Model(32 * kMiB), fitting_ = Model(kGiB), drafted_ = Model(32 * kMiB, kMiB);
  const OptionNames known_ = Known();
  SpeculationInput input_{streaming_, MachineProfile{1e9, 2e10, 0, 0}, known_, {}, {}};
  SpeculationInput draft_input_{drafted_, MachineProfile{1e9, 2e10, 0, 0}, known_, {}, {}};
};

TEST_F(ChooseSpeculationTest, NgramsAsLongAsTheyAreFree) {
  // A pass reads for 33 ms; a token computes for 3.4 ms.
  const Speculation chosen = Choose();
  EXPECT_EQ(chosen.kind, SpeculationKind::kNgram);
  EXPECT_EQ(Value(chosen, "--spec-type"), "ngram-simple");
  EXPECT_EQ(chosen.draft_tokens, FreeDraftLength(DraftCostOf(streaming_, input_.machine, {}, false)));
  EXPECT_EQ(chosen.draft_tokens, kUnmeasuredWidth - 1) << "no pass was measured";
  Learned wide;
  wide.passes = {{4, 0.033}};
  EXPECT_EQ(DraftCostOf(streaming_, input_.machine, wide, false).most, 7u);
  EXPECT_EQ(Value(chosen, "--spec-ngram-simple-size-m"), std::to_string(chosen.draft_tokens));
  EXPECT_EQ(chosen.tokens_per_s > 0, true);
  const Speculation short_one = Choose({.draft_tokens = 1});
  EXPECT_EQ(Value(short_one, "--spec-ngram-simple-size-n"), "1")
      << "a draft shorter than what was looked up is dropped by the engine";
}

TEST_F(ChooseSpeculationTest, NothingWhereNothingStreamsOrItWasSwitchedOff) {
  EXPECT_EQ(Choose({.mode = "off"}).kind, SpeculationKind::kNone);
  EXPECT_EQ(Choose({.draft = "d.gguf", .mode = "off"}).kind, SpeculationKind::kNone);
  const SpeculationInput fitting{fitting_, input_.machine, known_, {}, {}};
  EXPECT_EQ(ChooseSpeculation({}, fitting)->kind, SpeculationKind::kNone);
  EXPECT_EQ(ChooseSpeculation({.mode = "on"}, fitting)->kind, SpeculationKind::kNgram);
  EXPECT_EQ(ChooseSpeculation({.draft = "d.gguf"}, fitting)->kind, SpeculationKind::kDraft)
      << "it was asked for by name";
  EXPECT_FALSE(ChooseSpeculation({.mode = "sometimes"}, input_).ok());
}

TEST_F(ChooseSpeculationTest, TheProcessorIsTheLimit) {
  input_.machine = MachineProfile{1e12, 1e9, 0, 0};
  EXPECT_EQ(Choose().kind, SpeculationKind::kNone);
  EXPECT_EQ(Choose({.mode = "on"}).draft_tokens, 1u);
}

TEST_F(ChooseSpeculationTest, TheUsersOwnOptionsGoBefore) {
  for (const std::vector<std::string>& rest :
       {std::vector<std::string>{"--spec-type", "ngram-mod"}, {"-md", "x.gguf"}}) {
    input_.rest = rest;
    const Speculation chosen = Choose({.draft = "d.gguf"});
    EXPECT_EQ(chosen.kind, SpeculationKind::kUser);
    EXPECT_TRUE(chosen.options.empty());
    EXPECT_TRUE(DraftArguments({.draft = "d.gguf"}, rest).empty());
  }
  EXPECT_EQ(DraftArguments({.draft = "d.gguf"}, {}), (std::vector<std::string>{"-md", "d.gguf"}));
}

TEST_F(ChooseSpeculationTest, ADraftModelIsLimitedToWhatIsFreeUntilItsAcceptanceIsKnown) {
  // 1 MiB, three times what 20 GB/s take for it: 0.16 ms for a token. Three percent of the pass are 1 ms.
  const auto choose = [&] { return *ChooseSpeculation({.draft = "d.gguf"}, draft_input_); };
  const DraftCost cost = DraftCostOf(drafted_, draft_input_.machine, {}, true);
  const Speculation first = choose();
  EXPECT_EQ(first.kind, SpeculationKind::kDraft);
  EXPECT_EQ(Value(first, "-md"), "d.gguf");
  EXPECT_EQ(Value(first, "--spec-type"), "draft-simple");
  EXPECT_EQ(Value(first, "--spec-draft-n-max"), std::to_string(first.draft_tokens));
  EXPECT_EQ(first.draft_tokens, std::min(FreeDraftLength(cost), BestDraftLength(cost, kAssumedAcceptance)));
  draft_input_.learned.acceptance_known = true;
  draft_input_.learned.acceptance = 0.95;
  draft_input_.learned.passes = {{4, cost.pass.Seconds(4)}};  // as predicted: longer drafts may be tried
  const DraftCost measured = DraftCostOf(drafted_, draft_input_.machine, draft_input_.learned, true);
  const Speculation later = choose();
  EXPECT_EQ(later.draft_tokens, BestDraftLength(measured, 0.95));
  EXPECT_GT(later.draft_tokens, first.draft_tokens);
  EXPECT_TRUE(Has(later.line, "95 %")) << later.line;
  draft_input_.learned.acceptance = 0;
  EXPECT_EQ(choose().draft_tokens, FreeDraftLength(measured)) << "another text may be more predictable";
}

TEST_F(ChooseSpeculationTest, AHeavyDraftIsUsedAndSaid) {
  draft_input_.learned.draft_token_s = 0.005;
  const auto chosen = ChooseSpeculation({.draft = "d.gguf"}, draft_input_);
  EXPECT_GT(chosen->draft_tokens, 0u);
  EXPECT_TRUE(Has(chosen->line, "large for a draft model")) << chosen->line;
  draft_input_.learned.draft_token_s = 1;
  EXPECT_EQ(ChooseSpeculation({.draft = "d.gguf"}, draft_input_)->kind, SpeculationKind::kNone)
      << "a token of it takes longer than a pass";
}

TEST_F(ChooseSpeculationTest, NgramsNeverGetLessThanTheFreeLength) {
  const uint64_t free = Choose().draft_tokens;
  input_.learned.acceptance_known = true;
  for (const double acceptance : {0.0, 0.1, 0.3}) {
    input_.learned.acceptance = acceptance;
    EXPECT_EQ(Choose().draft_tokens, free) << acceptance;
  }
  input_.learned.passes = {{1, 0.034}, {5, 0.034}, {20, 0.04}};
  input_.learned.acceptance = 0.9;
  EXPECT_GT(Choose().draft_tokens, free);
}

// As llama-server does it: the drafts of all requests are in one pass.
TEST_F(ChooseSpeculationTest, RequestsAtATimeShareThePassWithTheirDrafts) {
  input_.learned.acceptance_known = true;
  input_.learned.acceptance = 0.95;
  input_.learned.passes = {{1, 0.034}, {8, 0.034}, {32, 0.2}};
  EXPECT_GT(Choose().draft_tokens, 3u);
  input_.sequences = 8;
  const Speculation eight = Choose();
  EXPECT_EQ(eight.draft_tokens, 0u) << "a pass of 16 would take more than twice as long";
  input_.sequences = 2;
  const Speculation two = Choose();
  EXPECT_EQ(two.draft_tokens, 3u) << "passes of eight";
  EXPECT_TRUE(Has(two.line, "a pass of 8 takes 1.00 of 2 tokens'")) << two.line;
  // Wider ones than twice what was measured are not considered.
  input_.learned.passes = {{1, 0.034}, {2, 0.034}};
  EXPECT_EQ(Choose().draft_tokens, 1u);
}

TEST_F(ChooseSpeculationTest, TheEnginesBatchHoldsAllDrafts) {
  EXPECT_EQ(MostDraftTokens({"-t", "4"}, {}, 16), UINT64_MAX);
  EXPECT_EQ(MostDraftTokens({"-b", "64"}, {}, 16), 3u);
  EXPECT_EQ(MostDraftTokens({"--batch-size", "20"}, {}, 16), 0u);
  EXPECT_EQ(MostDraftTokens({"-b", "1"}, {}, 16), 0u);
  const std::vector<EngineOption> file = {{{"-t"}, "4"}, {{"-b", "--batch-size"}, "32"}};
  EXPECT_EQ(MostDraftTokens({}, file, 16), 1u) << "a Modelfile's num_batch";
  EXPECT_EQ(MostDraftTokens({"-b", "64"}, file, 16), 3u);
  input_.most_draft_tokens = 1;
  EXPECT_EQ(Choose().draft_tokens, 1u);
  input_.most_draft_tokens = 0;
  EXPECT_EQ(Choose().kind, SpeculationKind::kNone);
  EXPECT_TRUE(Has(Choose().line, "has no room for drafts")) << Choose().line;
}

TEST_F(ChooseSpeculationTest, AnEngineThatCannot) {
  const OptionNames old = ParseHelp("-m, --model FNAME\n");
  const SpeculationInput input{streaming_, input_.machine, old, {}, {}};
  EXPECT_EQ(ChooseSpeculation({}, input)->kind, SpeculationKind::kNone);
  EXPECT_EQ(ChooseSpeculation({.mode = "on"}, input).status().code(), Code::kUnsupported);
  EXPECT_EQ(ChooseSpeculation({.draft = "d.gguf"}, input).status().code(), Code::kUnsupported);
  draft_input_.draft_type = "draft-eagle3";
  EXPECT_EQ(ChooseSpeculation({.draft = "d.gguf"}, draft_input_).status().code(), Code::kUnsupported)
      << "its --spec-type has no such value";
}

TEST_F(ChooseSpeculationTest, TheReportHasARowForEachAcceptance) {
  const auto report = MakeSpeculationReport({.draft = "d.gguf"}, draft_input_);
  ASSERT_TRUE(report.ok());
  ASSERT_EQ(report->rows.size(), 7u);
  EXPECT_EQ(report->rows[0].draft_tokens, 0u);
  EXPECT_DOUBLE_EQ(report->rows[0].gain, 1);
  for (size_t i = 1; i < report->rows.size(); ++i) EXPECT_GT(report->rows[i].gain, report->rows[i - 1].gain);
  EXPECT_GT(report->rows[5].gain, 2.5) << "0.8";
  const std::string text = RenderSpeculationText(*report);
  EXPECT_TRUE(Has(text, "\n  0 %   none         1.00")) << text;
  EXPECT_TRUE(Has(text, "no run has shown yet how many")) << text;
  EXPECT_TRUE(SpeculationJson(*report)["acceptance"].is_null());
  const SpeculationInput fitting{fitting_, input_.machine, known_, {}, {}};
  EXPECT_TRUE(MakeSpeculationReport({}, fitting)->rows.empty());
}

// The last block of the test's model as its head: an eighth of it.
ModelSetup ModelWithHead(uint64_t budget) {
  ModelSetup setup = TestModel(budget);
  setup.catalogue.layers = setup.catalogue.tensors.size();
  setup.catalogue.head_blocks = 1;
  TensorEntry& head = setup.catalogue.tensors.back();
  head.name = "blk." + std::to_string(head.layer) + ".nextn.eh_proj.weight";
  setup.weights = SelectWeights(
      setup.catalogue, [](const TensorEntry&) { return false; }, true);
  return setup;
}

TEST_F(ChooseSpeculationTest, TheModelsOwnHeadDrafts) {
  const ModelSetup model = ModelWithHead(32 * kMiB);
  SpeculationInput input{model, input_.machine, known_, {}, {}};
  input.head = true;
  const auto chosen = ChooseSpeculation({}, input);
  ASSERT_TRUE(chosen.ok()) << chosen.status().message();
  EXPECT_EQ(chosen->kind, SpeculationKind::kHead);
  EXPECT_EQ(Value(*chosen, "--spec-type"), "draft-mtp");
  EXPECT_EQ(Value(*chosen, "--spec-draft-n-max"), std::to_string(chosen->draft_tokens));
  const DraftCost cost = DraftCostOf(model, input.machine, {}, true);
  EXPECT_DOUBLE_EQ(cost.draft_token_s, 3 * 8.0 * kMiB / 2e10);
  EXPECT_GT(chosen->draft_tokens, 0u);
  EXPECT_TRUE(Has(chosen->line, "the model's own head drafts")) << chosen->line;
  EXPECT_EQ(ChooseSpeculation({.draft = "d.gguf"}, input)->kind, SpeculationKind::kDraft) << "named: before the head";
  EXPECT_EQ(ChooseSpeculation({.mode = "off"}, input)->kind, SpeculationKind::kNone);
  const auto report = MakeSpeculationReport({}, input);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(SpeculationJson(*report)["kind"], "head");
  EXPECT_GT(report->draft_token_s, 0);
  // As long as pays for what earlier runs saw accepted.
  input.learned.acceptance_known = true;
  input.learned.acceptance = 0.9;
  input.learned.passes = {{4, cost.pass.Seconds(4)}};
  EXPECT_EQ(ChooseSpeculation({}, input)->draft_tokens,
            BestDraftLength(DraftCostOf(model, input.machine, input.learned, true), 0.9));
}

TEST_F(ChooseSpeculationTest, AHeadPaysWhereItPromisesMore) {
  Speculation head{.kind = SpeculationKind::kHead}, other{.kind = SpeculationKind::kNgram};
  head.tokens_per_s = 3;
  other.tokens_per_s = 4;
  other.plain_tokens_per_s = 2;
  EXPECT_TRUE(HeadPays({}, head, other)) << "nobody knows yet what n-grams gain";
  other.acceptance_learned = true;
  EXPECT_FALSE(HeadPays({}, head, other));
  EXPECT_FALSE(HeadPays({.mode = "on"}, head, other));
  other.kind = SpeculationKind::kNone;
  EXPECT_TRUE(HeadPays({}, head, other));
  head.tokens_per_s = 1.9;
  EXPECT_FALSE(HeadPays({}, head, other));
  EXPECT_TRUE(HeadPays({.mode = "on"}, head, other));
  EXPECT_TRUE(HeadPays({.draft_tokens = 3}, head, other));
  head.tokens_per_s = 0;
  EXPECT_TRUE(HeadPays({}, head, other)) << "not known, and asked for";
  head.kind = SpeculationKind::kNone;
  EXPECT_FALSE(HeadPays({}, head, other));
}

TEST_F(ChooseSpeculationTest, AHeadNeedsMemoryForItsWeights) {
  ModelSetup model = ModelWithHead(32 * kMiB);
  EXPECT_TRUE(HeadFits(model));
  model.memory.weights_budget_bytes = model.weights.floor_bytes() + model.weights.head_kept_bytes - 1;
  EXPECT_FALSE(HeadFits(model));
  EXPECT_FALSE(HeadFits(streaming_)) << "it has none";
}

TEST_F(ChooseSpeculationTest, WhyAHeadIsNotUsedIsSaidToWhoAsked) {
  input_.why_no_head = "this llama.cpp cannot";
  EXPECT_FALSE(Has(Choose().line, "own head")) << Choose().line;
  EXPECT_TRUE(Has(Choose({.mode = "on"}).line, "the model's own head does not draft: this llama.cpp cannot"))
      << Choose({.mode = "on"}).line;
}

}  // namespace
}  // namespace headrace::cli
