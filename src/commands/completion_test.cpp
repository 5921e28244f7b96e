#include "commands/completion.h"

#include <gtest/gtest.h>
#include <CLI/CLI.hpp>

#include "base/temporary_tree.h"
#include "commands/command_line.h"
#include "process/capture.h"

namespace headrace::cli {
namespace {

// A command below a command, as `headrace engine install`.
void AddNested(CLI::App& app, CommandLine&) {
  app.add_subcommand("engine", "Which llama.cpp")
      ->add_subcommand("install", "Install one")
      ->add_flag_callback(
          "--force", [] {}, "Again");
}

class Completion : public testing::Test {
 protected:
  // What bash offers for `headrace words...`, the last word being completed.
  std::string Complete(const std::vector<std::string>& words) {
    const std::string script = tree_.File("completion", BashCompletion(*app_));
    std::string command = ". " + script + "; COMP_WORDS=(headrace";
    for (const std::string& word : words) command += " '" + word + "'";
    command += "); COMP_CWORD=" + std::to_string(words.size()) + "; _headrace; printf '%s\\n' \"${COMPREPLY[@]}\"";
    const auto result = Capture("/bin/bash", {"-c", command}, true);
    return result.ok() ? result->output : result.status().message();
  }

  TemporaryTree tree_;
  CommandLine line_;
  std::unique_ptr<CLI::App> app_ = MakeApp(line_, {AddNested});
};

TEST_F(Completion, BashAcceptsTheScript) {
  const std::string script = tree_.File("completion", BashCompletion(*app_));
  const auto result = Capture("/bin/bash", {"-n", script}, true);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->exit_status, 0);
  EXPECT_EQ(result->output, "");
}

TEST_F(Completion, BashCompletesCommandsOptionsAndChoices) {
  EXPECT_EQ(Complete({"be"}), "bench\n");
  EXPECT_EQ(Complete({"bench", "--fl"}), "--flash-mode\n");
  EXPECT_EQ(Complete({"bench", "--flash-mode", "o"}), "on\noff\n");
  EXPECT_EQ(Complete({"bench", "m.gguf", "--kernels", ""}), "auto\nplain\nrepack\n");
  EXPECT_EQ(Complete({"engine", "i"}), "install\n");
  EXPECT_EQ(Complete({"engine", "install", "--f"}), "--force\n");
  EXPECT_EQ(Complete({"doctor", "--flash"}), "\n") << "an option of other commands";
}

TEST_F(Completion, EveryShellKnowsEveryCommandAndOption) {
  for (const std::string& script : {BashCompletion(*app_), ZshCompletion(*app_), FishCompletion(*app_)}) {
    for (const char* word : {"exec", "plan", "bench", "doctor", "engine", "completion", "install", "flash-mode",
                             "repetitions", "prompt-tokens"}) {
      EXPECT_NE(script.find(word), std::string::npos) << word;
    }
  }
}

TEST_F(Completion, DescriptionsCannotLeaveTheirQuotes) {
  for (const std::string& script : {ZshCompletion(*app_), FishCompletion(*app_)}) {
    size_t begin = 0;
    while (begin < script.size()) {
      const size_t end = std::min(script.find('\n', begin), script.size());
      const std::string text = script.substr(begin, end - begin);
      EXPECT_EQ(std::count(text.begin(), text.end(), '\'') % 2, 0) << text;
      begin = end + 1;
    }
  }
}

}  // namespace
}  // namespace headrace::cli
