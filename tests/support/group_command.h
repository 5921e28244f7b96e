// The command in a memory cgroup, on generated models.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "command_runner.h"
#include "memory/memory_group_test.h"

namespace headrace::cli {

class GroupTest : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    if (geteuid() != 0) GTEST_SKIP() << "needs root to make a memory cgroup";
    ASSERT_EQ(Run({"engine"}).status, 0) << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
    struct stat info {};
    ASSERT_EQ(stat(HEADRACE_MAKE_MODEL, &info), 0) << "headrace-make-model is not built (HEADRACE_BENCH)";
  }

  // A model of random weights, kept for other tests; of so many layers, or the preset's when 0.
  std::string Generated(const std::string& preset, int layers = 0) {
    const std::string size = layers == 0 ? "" : " --layers " + std::to_string(layers);
    const std::string path =
        std::string(HEADRACE_TEST_CACHE) + "/" + preset + (layers == 0 ? "" : "-" + std::to_string(layers)) + ".gguf";
    std::filesystem::create_directories(HEADRACE_TEST_CACHE);
    if (!std::filesystem::exists(path)) {
      const std::string part = path + "." + std::to_string(getpid());
      EXPECT_EQ(Shell(HEADRACE_MAKE_MODEL " --quiet --force --preset " + preset + size + " " + part + " && mv " + part +
                      " " + path)
                    .status,
                0);
    }
    return path;
  }

  // Starts `headrace ARGUMENTS` in the group.
  RunningCommand StartIn(const MemoryGroup& group, const std::vector<std::string>& arguments) {
    environment_["GROUP"] = group.procs();
    std::vector<std::string> words = {"/bin/sh", "-c", "echo $$ > \"$GROUP\" && exec \"$HEADRACE\" \"$@\"", "sh"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return RunningCommand(words, environment_);
  }
};

}  // namespace headrace::cli
