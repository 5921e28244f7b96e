// Where there is no room for the file of statistics the work goes on without it.
#include <unistd.h>

#include "command_runner.h"

namespace headrace::cli {
namespace {

class StatisticsFile : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    if (geteuid() != 0) GTEST_SKIP() << "needs root to mount a file system";
    if (Run({"engine"}).status != 0) GTEST_SKIP() << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
    environment_["MODEL"] = Model();
    environment_["TMPDIR"] = tree_.Path("");
  }
  // A command in a world where `folder` is a small file system, full if `fill`.
  Outcome InSmallWorld(const std::string& folders, const std::string& size, bool fill, const std::string& command) {
    std::string script = "for f in " + folders + "; do mount -t tmpfs -o size=" + size + " none $f || exit 99;";
    if (fill) script += " head -c 1M /dev/zero >$f/fill 2>/dev/null;";
    environment_["SCRIPT"] = script + " done; exec $HEADRACE " + command;
    return Shell("exec unshare -m sh -c \"$SCRIPT\"");
  }
  static constexpr const char* kRun =
      "run $MODEL --flash-mode on --weights-ram 4M --raw -p 'It is a truth' -n 4 --temp 0";
  static constexpr const char* kExec =
      "exec --flash-mode on --weights-ram 4M -- llama-completion -m $MODEL -p 'It is a truth' -n 4 --temp 0 -no-cnv";
};

TEST_F(StatisticsFile, AnotherFolderIsTaken) {
  for (const auto& [size, fill] : {std::pair{"64k", true}, {"4k", false}}) {
    for (const char* command : {kRun, kExec}) {
      const Outcome outcome = InSmallWorld("/dev/shm", size, fill, command);
      EXPECT_EQ(outcome.status, 0) << command << outcome.err;
      EXPECT_TRUE(Has(outcome.out, "It is a truth ")) << command << outcome.out;
    }
    EXPECT_TRUE(Has(InSmallWorld("/dev/shm", size, fill, kRun).err, "streamed per pass"));
  }
}

TEST_F(StatisticsFile, WithoutAnyALineSaysSo) {
  environment_["TMPDIR"] = "/dev/shm";
  for (const char* command : {kRun, kExec}) {
    // Full, but a socket needs no room.
    const Outcome outcome = InSmallWorld("/dev/shm /tmp", "64k", true, command);
    EXPECT_EQ(outcome.status, 0) << command << outcome.err;
    EXPECT_TRUE(Has(outcome.out, "It is a truth ")) << command << outcome.out;
    EXPECT_TRUE(Has(outcome.err, "headrace: this run has no statistics")) << outcome.err;
    EXPECT_TRUE(Has(outcome.err, "/dev/shm: No space left on device")) << outcome.err;
  }
}

}  // namespace
}  // namespace headrace::cli
