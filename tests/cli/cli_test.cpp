// Help, bad input, exit statuses.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <nlohmann/json.hpp>

#include "command_runner.h"

namespace headrace::cli {
namespace {

class Cli : public CommandTest {
 protected:
  // The first `bytes` of the bundled model.
  std::string Truncated(size_t bytes) {
    std::ifstream file(Model(), std::ios::binary);
    std::string content(bytes, '\0');
    file.read(content.data(), static_cast<std::streamsize>(bytes));
    return tree_.File("truncated.gguf", content);
  }
};

TEST_F(Cli, HelpOfEveryCommandHasExamples) {
  EXPECT_TRUE(Has(Run({"--help"}).out, "Exit status"));
  for (const char* command :
       {"run", "exec", "plan", "bench", "list", "pull", "doctor", "engine", "completion", "manual"}) {
    const Outcome outcome = Run({command, "--help"});
    EXPECT_EQ(outcome.status, 0) << command;
    EXPECT_TRUE(Has(outcome.out, "Examples:")) << command;
    EXPECT_TRUE(Has(outcome.out, std::string("headrace ") + command)) << command;
    EXPECT_EQ(outcome.err, "") << command;
  }
}

TEST_F(Cli, HelpFitsATerminalAndHasWhatMattersFirst) {
  for (const char* command : {"run", "serve", "batch", "exec", "plan", "bench", "top", "doctor", "engine", "list",
                              "pull", "completion", "manual"}) {
    for (const char* how : {"--help", "--help-all"}) {
      const Outcome outcome = Run({command, how});
      EXPECT_EQ(outcome.status, 0) << command;
      EXPECT_EQ(Has(outcome.out, "--quiet"), std::string(command) != "engine") << command << " " << how;
      std::istringstream lines(outcome.out);
      for (std::string line; std::getline(lines, line);)
        EXPECT_LE(line.size(), 80u) << command << " " << how << ": " << line;
    }
  }
  EXPECT_TRUE(Has(Run({"engine", "check", "--help"}).out, "--quiet"));
  EXPECT_FALSE(Has(Run({"run", "--help"}).out, "--kv-dir DIR"));
  EXPECT_TRUE(Has(Run({"run", "--help"}).out, "headrace run --help-all"));
  EXPECT_TRUE(Has(Run({"run", "--help-all"}).out, "--kv-dir DIR"));
  EXPECT_FALSE(Has(Run({"list", "--help"}).out, "--kv-dir DIR"));
  EXPECT_TRUE(Has(Run({"list", "--help"}).out, "--models-dir DIR"));
}

TEST_F(Cli, OfTwoTheLastOptionCounts) {
  const auto plan = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"plan", Model(), "--json"});
    const Outcome outcome = Run(more);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out, nullptr, false);
  };
  EXPECT_EQ(plan({"--weights-ram", "4M", "-q", "--weights-ram=5M", "-q"})["budget_bytes"], 5 << 20);
  ExpectError({"serve", "--port", "1", "--port", "many"}, 2, "--port");
}

TEST_F(Cli, OptionsComeFromAFile) {
  const auto plan = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"plan", Model(), "--json"});
    return Run(more).out;
  };
  const std::string file =
      tree_.File("home/.config/headrace/config.toml",
                 "weights-ram = \"5M\"\nflash-mode = \"on\"\nmodels-dir = \"/m\"\n[run]\nflash-mode = \"off\"\n");
  EXPECT_TRUE(Has(plan({}), "5242880"));
  EXPECT_FALSE(Has(plan({"--weights-ram", "6M"}), "5242880")) << "the command line goes before";
  environment_["HEADRACE_WEIGHTS_RAM"] = "7M";
  EXPECT_TRUE(Has(plan({}), "7340032")) << "so does a variable";
  environment_.erase("HEADRACE_WEIGHTS_RAM");
  environment_["HEADRACE_CONFIG"] = "";
  EXPECT_FALSE(Has(plan({}), "5242880")) << "no file";
  environment_["HEADRACE_CONFIG"] = tree_.Path("missing.toml");
  ExpectError({"plan", Model()}, 2, "missing.toml");
  environment_.erase("HEADRACE_CONFIG");
  tree_.File("wrong.toml", "[plan]\nwieghts-ram = 5\n");
  ExpectError({"--config", tree_.Path("wrong.toml"), "plan", Model()}, 2, "headrace plan has no option --wieghts-ram");
  ExpectError({"plan", "--config", tree_.Path("wrong.toml"), Model()}, 2, "wrong.toml");
  tree_.File("wrong.toml", "rma = \"5G\"\n");
  ExpectError({"--config", tree_.Path("wrong.toml"), "plan", Model()}, 2, "no command has an option --rma");
}

TEST_F(Cli, Version) {
  const Outcome outcome = Run({"--version"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_TRUE(outcome.out.starts_with("headrace ")) << outcome.out;
}

TEST_F(Cli, WrongUsage) {
  ExpectError({}, 2, "--help");
  ExpectError({"frobnicate"}, 2, "--help");
  ExpectError({"run"}, 2, "headrace run --help");
  ExpectError({"run", Model(), "--no-such-option"}, 2, "--no-such-option");
  ExpectError({"run", Model(), "-p", "x", "-f", "y"}, 2, "-p and -f");
  ExpectError({"bench", Model(), "--repetitions", "0"}, 2, "--repetitions");
  ExpectError({"completion", "tcsh"}, 2, "tcsh");
  ExpectError({"manual", "frobnicate"}, 2, "headrace frobnicate");
  ExpectError({"exec"}, 2, "program");
  ExpectError({"exec", "--frobnicate", "--", "true"}, 2, "--frobnicate");
}

TEST_F(Cli, BadModels) {
  for (const char* command : {"run", "plan", "bench"}) {
    ExpectError({command, tree_.Path("missing.gguf")}, 2, "missing.gguf");
    ExpectError({command, tree_.File("empty.gguf")}, 2, "empty.gguf");
    ExpectError({command, tree_.Path("")}, 2, tree_.Path(""));
    ExpectError({command, tree_.File("garbage.gguf", "this is no model at all, only text")}, 2, "garbage.gguf");
    ExpectError({command, Truncated(1000)}, 2, "truncated.gguf");
    ExpectError({command, Truncated(5'000'000)}, 2, "truncated.gguf");
  }
}

TEST_F(Cli, BadOptions) {
  for (const char* command : {"run", "plan", "bench"}) {
    ExpectError({command, Model(), "--ram", "lots"}, 2, "'lots'");
    ExpectError({command, Model(), "--ram", "0"}, 2, "--ram 0");
    ExpectError({command, Model(), "--flash-mode", "maybe"}, 2, "maybe");
    ExpectError({command, Model(), "--kernels", "fast"}, 2, "fast");
  }
  ExpectError({"exec", "--ram", "lots", "--", "true"}, 2, "'lots'");
  environment_["HEADRACE_RAM"] = "many";
  ExpectError({"plan", Model()}, 2, "HEADRACE_RAM");
}

TEST_F(Cli, ABudgetTooSmallSaysTheArithmeticAndWhatWorks) {
  for (const char* command : {"run", "plan", "bench"})
    ExpectError({command, Model(), "--weights-ram", "4K"}, 2, "give at least --weights-ram ");
  const std::string message = Run({"plan", Model(), "--weights-ram", "4K"}).err;
  const std::string key = "--weights-ram ";
  std::string size = message.substr(message.rfind(key) + key.size());
  size.erase(size.find_last_not_of('\n') + 1);
  EXPECT_EQ(Run({"plan", Model(), "--weights-ram", size}).status, 0) << size;
}

TEST_F(Cli, NoEngine) {
  ExpectError({"run", Model(), "--engine", tree_.Path("none"), "-p", "x"}, 127, "headrace engine install");
  ExpectError({"bench", Model(), "--engine", tree_.Path("none")}, 127, "headrace engine install");
  ExpectError({"engine", "--engine", tree_.Path("none")}, 127, "headrace engine install");
  tree_.Program("odd/bin/llama-cli");
  ExpectError({"run", Model(), "--engine", tree_.Path("odd")}, 126, "--help lists no options");
}

TEST_F(Cli, NoLibrary) {
  environment_["HEADRACE_LIBRARY"] = tree_.Path("none.so");
  ExpectError({"exec", "--", "true"}, 127, "HEADRACE_LIBRARY");
  EXPECT_EQ(Run({"exec", "--flash-mode", "off", "--", "true"}).status, 0) << "off needs none";
}

TEST_F(Cli, ExecGivesTheProgramsStatus) {
  Outcome outcome = Run({"exec", "--", "/bin/true"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.out + outcome.err, "");
  EXPECT_EQ(Run({"exec", "--", "sh", "-c", "exit 7"}).status, 7);
  EXPECT_EQ(Run({"exec", "sh", "-c", "exit 8"}).status, 8) << "without -- the first word is the program";
  ExpectError({"exec", "--", "no-such-program"}, 127, "no-such-program");
  ExpectError({"exec", "--", tree_.Path("no/such")}, 127, "no/such");
  ExpectError({"exec", "--", tree_.File("plain", "text")}, 126, "plain");
}

TEST_F(Cli, ExecSetsUpThatChildAlone) {
  environment_["LD_PRELOAD"] = "libm.so.6";
  Outcome outcome = Run({"exec", "--weights-ram", "3M", "--", "sh", "-c",
                         "echo \"$LD_PRELOAD $HEADRACE_WEIGHTS_RAM $HEADRACE_FLASH_MODE\""});
  EXPECT_TRUE(Has(outcome.out, "libheadrace.so")) << outcome.out;
  EXPECT_TRUE(Has(outcome.out, ":libm.so.6 3145728 auto")) << outcome.out;
  outcome = Run({"exec", "--flash-mode", "off", "--", "sh", "-c", "echo \"$LD_PRELOAD\""});
  EXPECT_EQ(outcome.out, "libm.so.6\n");
}

TEST_F(Cli, FlashModeOnThatStreamsNothingIsAnError) {
  ExpectError({"exec", "--flash-mode", "on", "--", "true"}, 1, "streamed no weights");
  EXPECT_EQ(Run({"exec", "--flash-mode", "on", "--", "false"}).status, 1);
}

TEST_F(Cli, PlanIsReadableByProgramsAndCachesTheMachine) {
  const Outcome outcome = Run({"plan", Model(), "--weights-ram", "6M", "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << outcome.out;
  EXPECT_TRUE(json["streams"].get<bool>());
  EXPECT_GT(json["machine"]["disk_bytes_per_s"].get<double>(), 0);
  EXPECT_LE(json["plan"]["resident_bytes"].get<uint64_t>(), 6u << 20);
  const std::string cache = tree_.Path("home/.cache/headrace/machine.json");
  EXPECT_TRUE(std::filesystem::exists(cache));
  // Corrupt: measured again, not an error.
  tree_.File("home/.cache/headrace/machine.json", "{{{");
  EXPECT_EQ(Run({"plan", Model(), "--weights-ram", "6M"}).status, 0);
  std::ifstream file(cache);
  EXPECT_TRUE(Has(std::string(std::istreambuf_iterator<char>(file), {}), "disk_bytes_per_s"));
}

TEST_F(Cli, ANumberThatIsNoneIsRefused) {
  const std::string model = Model();
  for (const char* number : {"nan", "inf", "-1", "1e400", "warm", "1 "}) {
    const std::string none = std::string(number) + " is no number from 0";
    ExpectError({"run", model, "-p", "It is", "-n", "1", "--temp", number}, 2, "--temp: " + none + " to 1000; see");
    ExpectError({"chat", "--server", "1", "It is", "--temp", number}, 2, "--temp: " + none + " to 1000; see");
    ExpectError({"top", "--once", "--interval", number}, 2, "--interval: " + none + ".1 to 3600; see");
  }
  EXPECT_EQ(Run({"run", model, "-p", "It is", "-n", "1", "--temp", "0.5"}).status, 0);
  for (const char* number : {"-3", "99999999999999999999", "many"}) {
    ExpectError({"serve", model, "--answer-max", number}, 2, "--answer-max: ");
    ExpectError({"bench", model, "--threads", number == std::string("-3") ? "-2" : number}, 2, "--threads: ");
  }
}

TEST_F(Cli, AFileOfOptionsIsReadAsEditorsLeaveItAndNotWithoutAnEnd) {
  const std::string marked = tree_.File("marked.toml",
                                        "\xef\xbb\xbf"
                                        "ram = \"3M\"\n");
  ExpectError({"--config", marked, "plan", Model()}, 2, "3.00 MiB (--ram) is too little");
  ExpectError({"--config", "/dev/zero", "plan", Model()}, 2, "/dev/zero: too long for a file with options");
}

// A script's variable that is not set must not give a server without a key, or a run without a limit of memory.
TEST_F(Cli, AnEmptyValueIsNoDefault) {
  const std::string model = Model();
  const auto refused = [&](const std::vector<std::string>& arguments, const std::string& name) {
    ExpectError(arguments, 2, name + " is empty; give it a value, or leave it out");
  };
  for (const char* option : {"--ram", "--weights-ram", "--kv-dir", "--draft", "--modelfile", "--engine", "--workers"})
    refused({"run", model, "-p", "It is", "-n", "1", option, ""}, option);
  for (const char* option : {"--api-key-file", "--port", "--ttl", "--access-log", "--prompt-cache-dir"})
    refused({"serve", model, option, ""}, option);
  refused({"run", model, "-n", "1", "-p", ""}, "--prompt");
  refused({"run", model, ""}, "--prompt");
  refused({"serve", ""}, "model");
  refused({"mirror", model, ""}, "folder");
  refused({"engine", "check", "--engine", ""}, "--engine");
  refused({"--config", tree_.File("config.toml", "ram = \"\"\n"), "plan", model}, "--ram");
  EXPECT_EQ(Run({"--config", "", "plan", model}).status, 0) << "no file of options";
  EXPECT_EQ(Run({"exec", "test", "-z", ""}).status, 0) << "the program's own words";
}

TEST_F(Cli, DoctorJudgesAndLeavesNothingBehind) {
  const std::string folder = tree_.Path("");
  const Outcome outcome = Run({"doctor", folder, "--json"});
  EXPECT_LE(outcome.status, 1) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << outcome.out << outcome.err;
  bool bad = false;
  for (const auto& check : json["checks"]) bad = bad || check["verdict"] == "bad";
  EXPECT_EQ(outcome.status, bad ? 1 : 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  ExpectError({"doctor", tree_.Path("missing")}, 2, "missing");
}

TEST_F(Cli, ManualPages) {
  EXPECT_TRUE(Has(Run({"manual", "engine", "install"}).out, "headrace engine install"));
  EXPECT_EQ(Run({"manual", "--all", tree_.Path("man1")}).status, 0);
  for (const char* command : {"headrace", "headrace-run", "headrace-engine-install"}) {
    EXPECT_TRUE(std::filesystem::exists(tree_.Path("man1/" + std::string(command) + ".1"))) << command;
  }
}

TEST_F(Cli, CompletionScripts) {
  EXPECT_EQ(Shell("\"$HEADRACE\" completion bash | bash -n").status, 0);
  for (const char* shell : {"zsh", "fish"}) {
    EXPECT_TRUE(Has(Run({"completion", shell}).out, "flash-mode")) << shell;
  }
}

}  // namespace
}  // namespace headrace::cli
