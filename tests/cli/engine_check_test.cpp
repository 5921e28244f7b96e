// headrace engine check: with the real engine, with one that computes otherwise when it streams, and with one whose
// weights cannot be read.
#include <filesystem>

#include "command_runner.h"

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;

class EngineCheckTest : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    environment_["XDG_CACHE_HOME"] = tree_.Path("cache");
  }

  // An engine beside the real one's libraries whose llama-server is this script; $REAL is the real one.
  std::string EngineWith(const std::string& server) {
    const fs::path real = fs::path(HEADRACE_ENGINE_PREFIX) / "usr", made = tree_.Path("engine");
    fs::create_directories(made / "bin");
    for (const auto& entry : fs::directory_iterator(real / "bin")) {
      if (entry.path().filename() != "llama-server")
        fs::create_symlink(fs::absolute(entry.path()), made / "bin" / entry.path().filename());
    }
    fs::create_symlink(fs::absolute(real / "lib"), made / "lib");
    tree_.File("engine/bin/llama-server",
               "#!/bin/sh\nREAL=" + fs::absolute(real / "bin/llama-server").string() + "\n" + server + "\n", true);
    return made.string();
  }
};

TEST_F(EngineCheckTest, ProvesTheEngineAndKeepsTheVerdict) {
  EXPECT_TRUE(Has(Run({"engine"}).out, "not checked yet"));
  const Outcome check = Run({"engine", "check"});
  EXPECT_EQ(check.status, 0) << check.out << check.err;
  EXPECT_TRUE(Has(check.out, "dense model, repacked kernels")) << check.out;
  EXPECT_TRUE(Has(check.out, "4 of 4 the same")) << check.out;
  EXPECT_TRUE(Has(Run({"engine"}).out, ": 4 of 4 the same"));
  EXPECT_TRUE(Has(Run({"doctor", Model()}).out, ": 4 of 4 the same"));
}

TEST_F(EngineCheckTest, OtherResultsAreSaidWheneverSomethingStreams) {
  const std::string engine =
      EngineWith("[ -z \"$LD_PRELOAD\" ] || set -- \"$@\" --rope-freq-scale 0.5\nexec \"$REAL\" \"$@\"");
  const Outcome check = Run({"engine", "check", "--engine", engine});
  EXPECT_EQ(check.status, 1) << check.out;
  EXPECT_TRUE(Has(check.err, "0 of 4 the same")) << check.err;
  EXPECT_TRUE(Has(check.err, "4 different")) << check.err;
  const Outcome doctor = Run({"doctor", Model(), "--engine", engine});
  EXPECT_EQ(doctor.status, 1);
  EXPECT_TRUE(Has(doctor.out, "different results")) << doctor.out;
  const Outcome run = Run(
      {"run", Model(), "--engine", engine, "--raw", "-p", "a", "-n", "2", "--weights-ram", "5M", "--flash-mode", "on"});
  EXPECT_TRUE(Has(run.err, "warning: the llama.cpp in ")) << run.err;
  EXPECT_FALSE(Has(Run({"run", Model(), "--engine", engine, "--raw", "-p", "a", "-n", "2", "--flash-mode", "off"}).err,
                   "warning:"));
}

TEST_F(EngineCheckTest, AnEngineThatFailsIsNotJudged) {
  const std::string engine =
      EngineWith("[ -z \"$LD_PRELOAD\" ] || { echo no memory today >&2; exit 1; }\nexec \"$REAL\" \"$@\"");
  const Outcome check = Run({"engine", "check", "--engine", engine});
  EXPECT_EQ(check.status, 1) << check.out;
  EXPECT_TRUE(Has(check.err, "0 of 4 the same")) << check.err;
  EXPECT_TRUE(Has(Run({"engine", "--engine", engine}).out, "not checked yet"));
}

TEST_F(EngineCheckTest, CtrlCEndsItAndItsServers) {
  RunningCommand command = Start({"engine", "check"});
  ASSERT_TRUE(Eventually([&] { return !command.Children().empty(); }));
  command.SignalGroup(SIGINT);
  EXPECT_EQ(command.Finish().status, 130);
  EXPECT_TRUE(command.Children().empty());
}

}  // namespace
}  // namespace headrace::cli
