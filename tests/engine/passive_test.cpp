// With nothing to do the library does nothing: no output, no thread, the same bytes.
#include <gtest/gtest.h>

#include "dump.h"
#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

using Environment = std::map<std::string, std::string>;

struct Setting {
  const char* name;
  Environment environment;
};

std::ostream& operator<<(std::ostream& out, const Setting& setting) { return out << setting.name; }

// What leaves the library passive for the bundled dense model of 11 MiB.
std::vector<Setting> Settings() {
  return {{"nothing", {}},
          {"off", {{"HEADRACE_FLASH_MODE", "off"}}},
          {"off_with_budget", {{"HEADRACE_FLASH_MODE", "off"}, {"HEADRACE_WEIGHTS_RAM", "2M"}}},
          {"process_budget_above_model", {{"HEADRACE_RAM", "1G"}}},
          {"process_budget_auto", {{"HEADRACE_RAM", "auto"}}},
          {"budget_above_model", {{"HEADRACE_WEIGHTS_RAM", "1G"}}},
          {"auto_with_budget_above_model",
           {{"HEADRACE_FLASH_MODE", "auto"}, {"HEADRACE_WEIGHTS_RAM", "1G"}, {"HEADRACE_KERNELS", "plain"}}},
          {"other_variables_alone", {{"HEADRACE_KERNELS", "plain"}, {"HEADRACE_READER", "uring"}}}};
}

class Passive : public ::testing::TestWithParam<std::tuple<Setting, bool>> {};

TEST_P(Passive, EngineRunsAsWithoutIt) {
  const auto& [setting, repack] = GetParam();
  Work work;
  work.model = BundledModel("austen-dense-q4_0.gguf");
  work.prompts = {1, 20};
  work.repack = repack;
  const EngineRun stock = RunStock(work);
  std::vector<std::string> arguments = {HEADRACE_LOGITS_DUMP,       "--model",   work.model, "--repack",
                                        repack ? "1" : "0",         "--prompts", "1,20",     "--decode",
                                        std::to_string(work.decode)};
  Environment environment = setting.environment;
  environment["LD_PRELOAD"] = LibraryPath();
  const EngineRun run = RunDumper(arguments, environment);
  EXPECT_TRUE(SameBytes(stock, run));
  EXPECT_EQ(run.child.out, stock.child.out) << "the count of threads differs";
  EXPECT_EQ(run.child.err, stock.child.err);
  if (run.snapshot) {
    EXPECT_EQ((*run.snapshot)->state.load(), Snapshot::kPassive);
    EXPECT_EQ((*run.snapshot)->bytes_read.load(), 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Settings, Passive, ::testing::Combine(::testing::ValuesIn(Settings()), ::testing::Bool()),
                         [](const auto& setting) {
                           return std::string(std::get<0>(setting.param).name) +
                                  (std::get<1>(setting.param) ? "_repack" : "_plain");
                         });

// Programs that are not llama.cpp, configured or not, run as if nothing were preloaded.
class OtherPrograms : public ::testing::TestWithParam<bool> {};

TEST_P(OtherPrograms, RunUnchanged) {
  const std::string model = BundledModel("austen-draft-f16.gguf");
  const std::vector<std::vector<std::string>> programs = {
      {"true"},
      {"ls", "-l", HEADRACE_MODELS},
      {"sh", "-c", "echo a | cat; exit 3"},
      {"cmp", model, model},
      {"grep", "-c", "tokenizer", model},
      {"python3", "-c",
       "import mmap; f=open('" + model +
           "','rb'); m=mmap.mmap(f.fileno(),0,prot=mmap.PROT_READ); "
           "print(m[:4], sum(m[::4096]))"},
      {"node", "-p", "require('fs').readFileSync('" + model + "').length"}};
  for (const auto& program : programs) {
    const ChildResult without = RunChild(program);
    if (without.exit_code == 127) continue;  // not installed
    ChildOptions options;
    options.environment["LD_PRELOAD"] = LibraryPath();
    if (GetParam()) {
      for (const auto& [name, value] : StreamingEnvironment(2u << 20, false)) options.environment[name] = value;
    }
    const ChildResult with = RunChild(program, options);
    EXPECT_EQ(with.exit_code, without.exit_code) << with.Describe();
    EXPECT_EQ(with.signal, without.signal) << with.Describe();
    EXPECT_EQ(with.out, without.out) << with.Describe();
    EXPECT_EQ(with.err, without.err) << with.Describe();
  }
}

INSTANTIATE_TEST_SUITE_P(Configured, OtherPrograms, ::testing::Bool(),
                         [](const auto& setting) { return setting.param ? "yes" : "no"; });

}  // namespace
}  // namespace headrace::testing
