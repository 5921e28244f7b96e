// The reports of plan, bench and doctor.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "commands/bench_report.h"
#include "commands/doctor_checks.h"
#include "setup/plan_report.h"
#include "setup/test_model.h"

namespace headrace::cli {
namespace {

using Json = nlohmann::json;

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(PlanReport, StreamedModelAddsUp) {
  const auto report = MakePlanReport(TestModel(32 * kMiB), ProfileEntry{1e9, true, false, 2e10, 0, 1}, 512);
  ASSERT_TRUE(report.ok()) << report.status().message();
  const Json json = Json::parse(RenderPlanJson(*report));
  EXPECT_TRUE(json["streams"].get<bool>());
  EXPECT_EQ(json["model"]["managed_bytes"], 64 * kMiB);
  EXPECT_EQ(json["budget_bytes"], 32 * kMiB);
  const Json& plan = json["plan"];
  EXPECT_EQ(plan["resident_bytes"].get<uint64_t>() + plan["streamed_bytes_per_pass"].get<uint64_t>(), 64 * kMiB);
  EXPECT_LE(plan["resident_bytes"].get<uint64_t>() + plan["ring_bytes"].get<uint64_t>() +
                plan["scratch_bytes"].get<uint64_t>(),
            32 * kMiB);
  EXPECT_NEAR(json["prediction"]["decode_tokens_per_s"].get<double>(),
              1e9 / plan["streamed_bytes_per_pass"].get<double>(), 1e-6);
  EXPECT_TRUE(json["prediction"]["prompt_tokens_per_s"].is_null()) << "unknown until a bench";
  EXPECT_TRUE(json["machine"]["prompt_flops_per_s"].is_null());
  const std::string text = RenderPlanText(*report);
  EXPECT_TRUE(Has(text, "until `headrace bench`")) << text;
  EXPECT_TRUE(Has(text, "weights stream, 64.0 MiB of weights exceed 32.0 MiB for weights (--weights-ram)")) << text;
}

TEST(PlanReport, ModelThatFitsAndUnknownMachine) {
  const auto report = MakePlanReport(TestModel(kGiB), std::nullopt, 512);
  ASSERT_TRUE(report.ok());
  const Json json = Json::parse(RenderPlanJson(*report));
  EXPECT_FALSE(json["streams"].get<bool>());
  EXPECT_EQ(json["plan"]["streamed_bytes_per_pass"], 0);
  EXPECT_TRUE(json["machine"].is_null());
  EXPECT_TRUE(json["prediction"]["decode_tokens_per_s"].is_null());
  EXPECT_TRUE(
      Has(RenderPlanText(*report), "all in memory, nothing streams: 64.0 MiB of weights fit in 1.00 GiB for weights"));
}

TEST(PlanReport, SaysWhichSizesAreNotExactlyKnown) {
  const auto known = MakePlanReport(TestModel(32 * kMiB), std::nullopt, 512);
  ModelSetup newer = TestModel(32 * kMiB);
  newer.catalogue.tensors[2].type = newer.catalogue.tensors[3].type = 43;
  newer.catalogue.tensors[5].type = 77;
  const auto report = MakePlanReport(std::move(newer), std::nullopt, 512);
  ASSERT_TRUE(known.ok() && report.ok());
  EXPECT_TRUE(Json::parse(RenderPlanJson(*known))["model"]["unknown_types"].empty());
  EXPECT_EQ(Json::parse(RenderPlanJson(*report))["model"]["unknown_types"], Json::parse(R"(["type 43", "type 77"])"));
  EXPECT_FALSE(Has(RenderPlanText(*known), "does not know"));
  EXPECT_TRUE(
      Has(RenderPlanText(*report), "\n3 of 8 tensors have types that this headrace does not know (type 43, type 77): "))
      << RenderPlanText(*report);
}

TEST(PlanReport, PartsOfTheProcessAddUp) {
  ModelSetup model = TestModel(0);
  model.limits = {FlashMode::kAuto, 100 * kMiB, 0, "--ram", ""};
  EngineMemory engine;
  engine.context_bytes = 30 * kMiB;
  engine.compute_bytes = 20 * kMiB;
  engine.engine_bytes = 10 * kMiB;
  model.memory = DivideMemory(model.limits, model.weights, model.catalogue.weight_bytes(), engine);
  const auto report = MakePlanReport(std::move(model), std::nullopt, 512, "4096");
  ASSERT_TRUE(report.ok());
  const Json memory = Json::parse(RenderPlanJson(*report))["memory"];
  EXPECT_EQ(memory["limit_bytes"], 100 * kMiB);
  EXPECT_EQ(memory["weights_budget_bytes"], 37 * kMiB);
  EXPECT_EQ(memory["peak_bytes"], 100 * kMiB);
  EXPECT_EQ(memory["everything_bytes"], 124 * kMiB);
  EXPECT_EQ(memory["least_bytes"].get<uint64_t>(), 63 * kMiB + FloorBytes(report->model.weights.extents));
  const std::string text = RenderPlanText(*report);
  EXPECT_TRUE(Has(text,
                  "weights stream, 64.0 MiB of weights and 63.0 MiB for the rest (KV cache 30.0 MiB, buffers 20.0 MiB, "
                  "engine 10.0 MiB, streaming 3.00 MiB) exceed 100 MiB (--ram); weights get 37.0 MiB"))
      << text;
  EXPECT_TRUE(Has(text, "for 4096 tokens")) << text;
}

// Beside the weights that are multiplied there is a table.
TEST(PlanReport, RowsOfTablesHaveTheirPartOfTheMemory) {
  ModelSetup model = TestModel(32 * kMiB);
  TensorEntry table = model.catalogue.tensors[0];
  table.name = "token_embd.weight";
  table.layer = -1;
  TensorEntry output = table;
  output.name = "output.weight";
  model.catalogue.tensors.push_back(table);
  model.catalogue.tensors.push_back(output);
  model.weights = SelectWeights(model.catalogue);
  ASSERT_EQ(model.weights.tables.size(), 1u);
  const uint64_t rows = model.weights.row_bytes(32 * kMiB);
  EXPECT_EQ(rows, 512 * kKiB) << "a sixty-fourth";
  const auto report = MakePlanReport(std::move(model), std::nullopt, 512);
  ASSERT_TRUE(report.ok());
  EXPECT_LE(report->plan.total_bytes() + rows, 32 * kMiB);
  EXPECT_GT(report->plan.total_bytes() + rows, 30 * kMiB);
  EXPECT_EQ(Json::parse(RenderPlanJson(*report))["plan"]["row_bytes"], rows);
  EXPECT_TRUE(Has(RenderPlanText(*report), "of tables that are looked up"));
}

// Nobody needs more memory for weights than there are weights.
TEST(PlanReport, ABudgetBeyondTheWeightsIsNotTheirSize) {
  const auto shown = [](std::vector<std::string> placement, uint64_t limit_bytes) {
    ModelSetup model = TestModel(0, FlashMode::kOn);
    model.limits = {FlashMode::kOn, limit_bytes, 0, "--ram", ""};
    model.catalogue.layers = 8;
    model.devices = {{"RPC0", "10.0.0.2:50052", 4 * kGiB, 3 * kGiB, false, true}};
    SelectWeightsBy(EngineArguments(std::move(placement)), model);
    EngineMemory engine;
    engine.engine_bytes = 70 * kMiB;
    engine.devices = {{"RPC0", 64 * kMiB, 2 * kMiB, 4 * kMiB}};
    model.memory = DivideMemory(model.limits, model.weights, model.catalogue.weight_bytes(), engine);
    const auto report = MakePlanReport(std::move(model), std::nullopt, 512);
    return report.ok() ? RenderPlanText(*report) : report.status().message();
  };
  const std::string all = shown({"-ngl", "99"}, kGiB);
  EXPECT_TRUE(Has(all, "8.00 MiB  those that stay here, and what goes to devices on its way")) << all;
  EXPECT_TRUE(Has(all, "the most that it may use")) << all;
  EXPECT_TRUE(Has(all, "RPC0 (10.0.0.2:50052) has 64.0 MiB of weights")) << all;
  const std::string here = shown({"-ngl", "0"}, kGiB);
  EXPECT_TRUE(Has(here, "64.0 MiB  all of them: see below")) << here;
  const std::string part = shown({"-ngl", "0"}, 113 * kMiB);
  EXPECT_TRUE(Has(part, "40.0 MiB  of 64.0 MiB: see below")) << part;
  EXPECT_TRUE(Has(part, "the most that it will use")) << part;
}

// Eight layers of which devices have four.
TEST(PlanReport, DevicesHaveTheirPart) {
  ModelSetup model = TestModel(0);
  model.limits = {FlashMode::kAuto, 100 * kMiB, 0, "--ram", ""};
  model.catalogue.layers = 8;
  model.devices = {{"CUDA0", "a card", 4 * kGiB, 3 * kGiB, false}};
  model.device_choice.room_bytes = {40 * kMiB};
  model.device_choice.placement = Placement{5, 0, 0};
  model.device_choice.batch_tokens = 2048;
  model.vram = *ParseVram("--vram", "40M");
  SelectWeightsBy({"-ngl", "5"}, model);
  EngineMemory engine;
  engine.engine_bytes = 70 * kMiB;
  engine.devices = {{"CUDA0", 32 * kMiB, 2 * kMiB, 4 * kMiB}};
  model.memory = DivideMemory(model.limits, model.weights, model.catalogue.weight_bytes(), engine);
  const auto report = MakePlanReport(std::move(model), ProfileEntry{1e9, true, false, 2e10, 5e10, 1}, 512);
  ASSERT_TRUE(report.ok()) << report.status().message();
  const Json json = Json::parse(RenderPlanJson(*report));
  EXPECT_EQ(json["model"]["managed_bytes"], 32 * kMiB);
  EXPECT_EQ(json["memory"]["weight_bytes"], 32 * kMiB);
  EXPECT_EQ(json["memory"]["device_weight_bytes"], 32 * kMiB);
  EXPECT_EQ(json["memory"]["everything_bytes"], 134 * kMiB);
  ASSERT_EQ(json["devices"].size(), 1u);
  EXPECT_EQ(json["devices"][0]["name"], "CUDA0");
  EXPECT_EQ(json["devices"][0]["room_bytes"], 40 * kMiB);
  EXPECT_EQ(json["devices"][0]["context_bytes"], 2 * kMiB);
  const double streamed = json["plan"]["streamed_bytes_per_pass"].get<double>();
  EXPECT_LT(streamed, 32.0 * kMiB);
  EXPECT_NEAR(json["prediction"]["decode_tokens_per_s"].get<double>(), 1e9 / streamed, 1e-6)
      << "what is neither on the card nor in memory";
  EXPECT_NEAR(json["prediction"]["prompt_tokens_per_s"].get<double>(), 512e9 / streamed, 1e-3) << "the disk's part";
  const std::string text = RenderPlanText(*report);
  EXPECT_TRUE(Has(text,
                  "CUDA0 has 32.0 MiB of weights, KV cache 2.00 MiB, buffers 4.00 MiB: the last 4 of 8 layers, within "
                  "40.0 MiB (--vram); "
                  "prompts go there 2048 tokens at a time"))
      << text;
  EXPECT_TRUE(Has(text, "at most: the disk's part of it")) << text;
}

TEST(PlanReport, KvCacheInAFileCountsWithItsMemory) {
  ModelSetup model = TestModel(0);
  model.limits = {FlashMode::kAuto, 100 * kMiB, 0, "--ram", ""};
  EngineMemory engine;
  engine.compute_bytes = 20 * kMiB;
  engine.context_bytes = 30 * kMiB;
  engine.context_file_bytes = 120 * kMiB;
  model.memory = DivideMemory(model.limits, model.weights, model.catalogue.weight_bytes(), engine);
  const auto report = MakePlanReport(std::move(model), std::nullopt, 512, "4096");
  ASSERT_TRUE(report.ok());
  const Json memory = Json::parse(RenderPlanJson(*report))["memory"];
  EXPECT_EQ(memory["context_bytes"], 30 * kMiB);
  EXPECT_EQ(memory["context_file_bytes"], 120 * kMiB);
  EXPECT_EQ(memory["everything_bytes"], 114 * kMiB) << "what is in the file does not count";
  const std::string text = RenderPlanText(*report);
  EXPECT_TRUE(Has(text, "in memory; 120 MiB in a file, for 4096 tokens")) << text;
}

TEST(PlanReport, ABudgetBelowTheFloorIsAnError) {
  const auto report = MakePlanReport(TestModel(64 * kKiB, FlashMode::kOn), std::nullopt, 512);
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.status().code(), Code::kOutOfBudget);
}

constexpr const char* kBench =
    R"([{"n_prompt":512,"n_gen":0,"avg_ts":40.5,"stddev_ts":0.5},{"n_prompt":0,"n_gen":32,"avg_ts":1.9,"stddev_ts":0.01}])";

TEST(Bench, ParsesAndRefuses) {
  const auto rows = ParseBench(kBench);
  ASSERT_TRUE(rows.ok());
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[0].prompt_tokens, 512u);
  EXPECT_DOUBLE_EQ((*rows)[1].tokens_per_s, 1.9);
  for (const char* text :
       {"", "{}", "[]", "[1]", "[{\"n_prompt\":1}]", "[{\"n_prompt\":-1,\"n_gen\":1,\"avg_ts\":1}]",
        "[{\"n_prompt\":1.5,\"n_gen\":1,\"avg_ts\":1}]", "[{\"n_prompt\":\"1\",\"n_gen\":1,\"avg_ts\":1}]"}) {
    EXPECT_FALSE(ParseBench(text).ok()) << text;
  }
}

TEST(Bench, ComparesDecodeWithTheDisksLimit) {
  BenchReport report;
  report.model = "m.gguf";
  report.rows = *ParseBench(kBench);
  report.disk_bytes_per_s = 4e9;
  report.statistics.weight_bytes = 3'000'000'000;
  report.statistics.streamed_bytes_per_pass = 2'000'000'000;
  const Json json = Json::parse(RenderBenchJson(report));
  EXPECT_TRUE(json["results"][0]["limit_tokens_per_s"].is_null()) << "the limit is about decode";
  EXPECT_DOUBLE_EQ(json["results"][1]["limit_tokens_per_s"].get<double>(), 2);
  EXPECT_NEAR(json["results"][1]["share_of_limit"].get<double>(), 0.95, 1e-9);
  EXPECT_TRUE(Has(RenderBenchText(report), "95 %"));
  EXPECT_EQ(json["workers"], Json::array());
  report.workers = {{"192.168.1.5:50052", {"RPC0", 100 * kMiB, 3 * kMiB, 2 * kMiB}}};
  EXPECT_TRUE(
      Has(RenderBenchText(report), "\nworker 192.168.1.5:50052: 100 MiB of weights, KV cache 3.00 MiB, buffers "));
  EXPECT_EQ(Json::parse(RenderBenchJson(report))["workers"][0]["weight_bytes"], 100 * kMiB);
  report.statistics = {};
  EXPECT_TRUE(Json::parse(RenderBenchJson(report))["results"][1]["limit_tokens_per_s"].is_null());
  EXPECT_TRUE(Has(RenderBenchText(report), "nothing was streamed"));
}

DoctorFacts Healthy() {
  DoctorFacts facts;
  facts.direct = DiskSpeed{5e9, true, "uring", 1};
  facts.buffered = DiskSpeed{2e9, false, "uring", 1};
  facts.file_system = "ext4";
  facts.read_ahead_kib = 128;
  facts.memory = MemoryInfo{16 * kGiB, 8 * kGiB};
  facts.available = {8 * kGiB, "free memory"};
  facts.memlock_bytes = 8 * kMiB;
  facts.huge_pages = "madvise";
  facts.cpu_flags = {"avx2"};
  facts.cpus = 8;
  facts.engine_version = "0.7.0";
  facts.engine_directory = "/e";
  facts.ggml.usable = true;
  facts.library = "/l/libheadrace.so";
  return facts;
}

Verdict VerdictOf(const DoctorFacts& facts, const std::string& key) {
  for (const Check& check : JudgeDoctor(facts)) {
    EXPECT_FALSE(check.advice.empty()) << check.key;
    EXPECT_FALSE(check.value.empty()) << check.key;
    if (check.key == key) return check.verdict;
  }
  ADD_FAILURE() << "no check " << key;
  return Verdict::kBad;
}

TEST(Doctor, AHealthyMachineIsGoodThroughout) {
  for (const Check& check : JudgeDoctor(Healthy())) EXPECT_EQ(check.verdict, Verdict::kGood) << check.key;
}

TEST(Doctor, AnEngineThatGaveOtherResultsIsBad) {
  DoctorFacts facts = Healthy();
  facts.verdict = EngineVerdict{1'800'000'000, true, "4 of 4"};
  EXPECT_EQ(VerdictOf(facts, "engine"), Verdict::kGood);
  facts.verdict->same = false;
  EXPECT_EQ(VerdictOf(facts, "engine"), Verdict::kBad);
}

TEST(Doctor, SaysWhatCopiesToADeviceMean) {
  DoctorFacts facts = Healthy();
  facts.devices = {{"CUDA0", "a card", 8 * kGiB, 8 * kGiB, false}};
  const auto check = [&] {
    for (const Check& found : JudgeDoctor(facts)) {
      if (found.key == "devices") return found;
    }
    return Check();
  };
  EXPECT_TRUE(Has(check().value, "copies not measured"));
  facts.copies = {{"CUDA0", 6e9, 2.4e10}};
  EXPECT_TRUE(Has(check().value, "copies at 24.00 GB/s (6.00 GB/s from ordinary memory)")) << check().value;
  EXPECT_TRUE(Has(check().advice, "faster than this disk reads them")) << check().advice;
  facts.copies = {{"CUDA0", 1e9, 0}};
  EXPECT_TRUE(Has(check().value, "copies at 1.00 GB/s")) << check().value;
  EXPECT_TRUE(
      Has(check().advice, "slower than this disk reads them: a prompt's pass takes at least 10.0 s for each 10 GB"))
      << check().advice;
  const Json json = Json::parse(RenderDoctorJson(JudgeDoctor(facts), facts));
  EXPECT_EQ(json["facts"]["devices"][0]["copy_bytes_per_s"], 1e9);
  EXPECT_TRUE(json["facts"]["devices"][0]["staged_copy_bytes_per_s"].is_null());
}

TEST(Doctor, EveryDefectHasAVerdict) {
  const std::tuple<const char*, Verdict, void (*)(DoctorFacts&)> cases[] = {
      {"devices", Verdict::kNote,
       [](DoctorFacts& f) {
         f.devices = {{"Vulkan0", "llvmpipe", 2 * kGiB, 2 * kGiB, true}};
       }},
      {"devices", Verdict::kNote,
       [](DoctorFacts& f) {
         f.devices = {{"CUDA0", "a card", 2 * kGiB, kGiB, false}};
       }},
      {"devices", Verdict::kGood,
       [](DoctorFacts& f) {
         f.devices = {{"CUDA0", "a card", 2 * kGiB, kGiB + 1, false},
                      {"Vulkan0", "llvmpipe", 2 * kGiB, 2 * kGiB, true}};
       }},
      {"devices", Verdict::kGood, [](DoctorFacts& f) { f.device_library = true; }},
      {"devices", Verdict::kNote, [](DoctorFacts& f) { f.engine_directory.clear(); }},
      {"disk", Verdict::kBad,
       [](DoctorFacts& f) {
         f.direct.reset();
         f.disk_problem = "why";
       }},
      {"disk", Verdict::kNote, [](DoctorFacts& f) { f.direct->bytes_per_s = 2e8; }},
      {"disk", Verdict::kNote, [](DoctorFacts& f) { f.direct->direct = false; }},
      {"file_system", Verdict::kBad, [](DoctorFacts& f) { f.file_system = "tmpfs"; }},
      {"file_system", Verdict::kNote, [](DoctorFacts& f) { f.file_system = "nfs"; }},
      {"read_ahead", Verdict::kNote, [](DoctorFacts& f) { f.read_ahead_kib.reset(); }},
      {"memory", Verdict::kNote, [](DoctorFacts& f) { f.available.bytes = 500 * kMiB; }},
      {"memory_limit", Verdict::kNote,
       [](DoctorFacts& f) {
         f.cgroup = CgroupLimit{2, "/g", 700 * kMiB, 0, 0};
       }},
      {"locked_memory", Verdict::kNote, [](DoctorFacts& f) { f.memlock_bytes = 64 * kKiB; }},
      {"huge_pages", Verdict::kNote, [](DoctorFacts& f) { f.huge_pages = "never"; }},
      {"cpu", Verdict::kNote, [](DoctorFacts& f) { f.cpu_flags = {"sse2"}; }},
      {"engine", Verdict::kBad, [](DoctorFacts& f) { f.engine_problem = "none"; }},
      {"engine", Verdict::kBad, [](DoctorFacts& f) { f.ggml.usable = false; }},
      {"engine", Verdict::kNote, [](DoctorFacts& f) { f.ggml.off = "a KV cache in a file is off"; }},
      {"library", Verdict::kBad,
       [](DoctorFacts& f) {
         f.library.clear();
         f.library_problem = "gone";
       }},
  };
  for (const auto& [key, verdict, damage] : cases) {
    DoctorFacts facts = Healthy();
    damage(facts);
    EXPECT_EQ(VerdictOf(facts, key), verdict) << key;
  }
}

TEST(Doctor, JsonHasTheChecksAndTheNumbers) {
  const DoctorFacts facts = Healthy();
  const Json json = Json::parse(RenderDoctorJson(JudgeDoctor(facts), facts));
  EXPECT_EQ(json["checks"].size(), 11u);
  EXPECT_DOUBLE_EQ(json["facts"]["disk_direct_bytes_per_s"].get<double>(), 5e9);
  EXPECT_EQ(json["facts"]["read_ahead_bytes"], 128 * kKiB);
  EXPECT_TRUE(json["facts"]["cgroup_limit_bytes"].is_null());
  EXPECT_TRUE(Has(RenderDoctorText(JudgeDoctor(facts)), "good  read ahead"));
}

}  // namespace
}  // namespace headrace::cli
