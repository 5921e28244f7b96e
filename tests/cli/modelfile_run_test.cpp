// run with a Modelfile, by the real engine.
#include <algorithm>
#include <filesystem>

#include "command_runner.h"

namespace headrace::cli {
namespace {

class ModelfileRun : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    ASSERT_EQ(Run({"engine"}).status, 0) << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
    for (const char* name : {"austen-dense-q4_0.gguf", "austen-moe-q4_0.gguf"}) {
      std::filesystem::copy_file(std::filesystem::path(Model()).parent_path() / name, tree_.Path(name));
    }
    model_ = tree_.Path("austen-dense-q4_0.gguf");
  }
  Outcome Answer(std::vector<std::string> words, const std::vector<std::string>& more = {}) {
    words.insert(words.begin(), "run");
    words.insert(words.end(), {"-p", "It is a truth"});
    words.insert(words.end(), more.begin(), more.end());
    return Run(words);
  }
  std::string model_;
};

TEST_F(ModelfileRun, SettingsCountAsIfTheyWereOptions) {
  const std::string file = tree_.File(
      "My",
      "FROM ./austen-dense-q4_0.gguf\nPARAMETER temperature 0\nPARAMETER num_predict 16\nFLASH on\nFLASH_RAM_GB 0.004\n"
      "PARAMETER num_ctx 256\nFLASH_PREFETCH_LAYERS 1\nFLASH_EVICTION heat\nLICENSE MIT\n");
  const Outcome from_file = Answer({"--modelfile", file, "--raw"});
  ASSERT_EQ(from_file.status, 0) << from_file.err;
  const Outcome options = Answer(
      {model_, "--raw"}, {"--temp", "0", "-n", "16", "-c", "256", "--flash-mode", "on", "--weights-ram", "0.004G"});
  EXPECT_TRUE(SameText(from_file.out, options.out)) << from_file.out << options.out;
  EXPECT_TRUE(Has(from_file.err, "My, unless an option overrides it: temperature 0, num_predict 16, FLASH on"))
      << from_file.err;
  EXPECT_TRUE(Has(from_file.err, "streamed per pass")) << from_file.err;
  EXPECT_EQ(Answer({"--modelfile", file, "--raw", "-q"}).err, "");
  // Options win.
  const Outcome other = Answer({"--modelfile", file, "--raw", "-q"}, {"-n", "3", "--flash-mode", "off"});
  EXPECT_EQ(other.status, 0) << other.err;
  EXPECT_LT(other.out.size(), from_file.out.size());
  EXPECT_TRUE(from_file.out.starts_with(other.out.substr(0, other.out.find_last_not_of('\n') + 1))) << other.out;
}

TEST_F(ModelfileRun, BesideTheModel) {
  tree_.File("Modelfile", "PARAMETER temperature 0\nPARAMETER num_predict 4\n");
  const Outcome beside = Answer({model_, "--raw"});
  EXPECT_TRUE(Has(beside.err, "Modelfile, unless an option overrides it: temperature 0, num_predict 4")) << beside.err;
  const std::string without = Answer({model_, "--raw", "-q", "--no-modelfile"}, {"--temp", "0", "-n", "4"}).out;
  EXPECT_TRUE(SameText(beside.out, without)) << beside.out << without;
  tree_.File("Modelfile", "FLASH_SPEED 4\n");
  ExpectError({"run", model_, "-p", "x"}, 2, "Modelfile:1: there is no FLASH_SPEED");
  tree_.File("Modelfile", "FROM austen-moe-q4_0.gguf\nFLASH_SPEED 4\n");
  ExpectError({"run", model_, "-p", "x"}, 2, "Modelfile:2: there is no FLASH_SPEED");
  tree_.File("Modelfile", "FROM austen-moe-q4_0.gguf\nPARAMETER num_predict 4\n");
  EXPECT_FALSE(Has(Answer({model_, "--raw"}, {"-n", "2"}).err, "Modelfile"));
}

TEST_F(ModelfileRun, SystemAndStop) {
  const std::string file =
      tree_.File("My", "FROM austen-dense-q4_0.gguf\nPARAMETER temperature 0\nPARAMETER num_predict 24\n");
  const std::string system = tree_.File("Sys",
                                        "FROM austen-dense-q4_0.gguf\nPARAMETER temperature 0\nPARAMETER num_predict "
                                        "24\nSYSTEM \"\"\"Mr. Darcy\nspeaks\"\"\"\n");
  const std::string plain = Answer({"--modelfile", file, "-q"}).out, told = Answer({"--modelfile", system, "-q"}).out;
  EXPECT_FALSE(SameText(plain, told)) << plain << told;
  const std::string by_option = Answer({"--modelfile", file, "-q"}, {"--", "-sys", "Mr. Darcy\nspeaks"}).out;
  EXPECT_TRUE(SameText(told, by_option)) << told << by_option;
  EXPECT_TRUE(Has(Answer({"--modelfile", system, "--raw"}).err, "SYSTEM is ignored"));

  const std::string stop = tree_.File("Stop",
                                      "FROM austen-dense-q4_0.gguf\nPARAMETER temperature 0\nPARAMETER num_predict "
                                      "24\nPARAMETER stop \" the\"\nPARAMETER stop nothing\n");
  ASSERT_TRUE(Has(plain, " the ")) << plain;
  const Outcome cut = Answer({"--modelfile", stop, "-q"});
  EXPECT_EQ(cut.status, 0) << cut.err;
  EXPECT_TRUE(
      plain.substr(0, plain.find(" the ") + 4).starts_with(cut.out.substr(0, cut.out.find_last_not_of('\n') + 1)))
      << cut.out;
  EXPECT_LT(cut.out.size(), plain.size());
  EXPECT_GT(Answer({"--modelfile", stop, "-q"}, {"--", "-r", "nothing"}).out.size(), cut.out.size()) << "options win";
}

TEST_F(ModelfileRun, FewerExpertsChangeTheAnswerAndSaySo) {
  const std::string text =
      "FROM austen-moe-q4_0.gguf\nPARAMETER temperature 0\nPARAMETER num_predict 24\nFLASH on\nFLASH_RAM_GB 0.004\n";
  const Outcome all = Answer({"--modelfile", tree_.File("All", text), "--raw"}),
                one = Answer({"--modelfile", tree_.File("One", text + "FLASH_TOP_K 1\n"), "--raw"});
  ASSERT_EQ(one.status, 0) << one.err;
  EXPECT_FALSE(SameText(all.out, one.out)) << one.out;
  EXPECT_TRUE(Has(one.err, "FLASH_TOP_K 1 instead of the model's 4 experts for each token: its answers change"))
      << one.err;
  EXPECT_FALSE(Has(all.err, "answers change")) << all.err;
  ExpectError({"run", model_, "--modelfile", tree_.Path("One"), "-p", "x"}, 2, "not a mixture of experts");
}

TEST_F(ModelfileRun, Errors) {
  ExpectError({"run"}, 2, "a model is needed");
  ExpectError({"run", "--modelfile", tree_.Path("absent")}, 2, "absent");
  ExpectError({"run", "--modelfile", tree_.File("F", "FROM llama3\n")}, 2, "write the path of a GGUF file");
  ExpectError({"run", "--modelfile", tree_.File("G", "FROM austen-dense-q4_0.gguf\nFLASH_THREADS 4\n")}, 2,
              "G:2: FLASH_THREADS has no meaning here");
  ExpectError({"run", model_, "--modelfile", "x", "--no-modelfile"}, 2, "--no-modelfile");
}

}  // namespace
}  // namespace headrace::cli
