// headrace top with processes that really stream.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "command_runner.h"
#include "pseudo_terminal.h"

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

class TopCommand : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    ASSERT_EQ(Run({"engine"}).status, 0) << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
  }
  std::vector<std::string> Endless() const {
    return {"-p", "It is a truth", "-n", "-1", "--temp", "0", "--ignore-eos", "--context-shift", "-no-cnv", "-t", "1"};
  }
  // Until some passes have ended, so that there is something to see.
  RunningCommand StartRun() {
    return Start({"run", Model(), "-p", "It is a truth", "-n", "-1", "--temp", "0", "--raw", "--flash-mode", "on",
                  "--weights-ram", "4M", "-q", "-t", "1", "--", "--ignore-eos", "--context-shift"});
  }
  std::vector<Json> Look() {
    const Outcome outcome = Run({"top", "--json"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    const Json json = Json::parse(outcome.out, nullptr, false);
    EXPECT_TRUE(json.is_object()) << outcome.out;
    notes_ = json.is_object() ? json["notes"].dump() : "";
    return json.is_object() ? json["processes"].get<std::vector<Json>>() : std::vector<Json>();
  }
  // The processes whose parent is `parent`: others may stream on this machine too.
  std::vector<Json> LookBelow(pid_t parent) {
    std::vector<Json> below;
    for (const Json& process : Look()) {
      std::ifstream stat("/proc/" + std::to_string(process["pid"].get<pid_t>()) + "/stat");
      const std::string text((std::istreambuf_iterator<char>(stat)), {});
      std::istringstream rest(text.substr(std::min(text.rfind(')') + 1, text.size())));
      std::string state;
      pid_t its_parent = 0;
      rest >> state >> its_parent;
      if (its_parent == parent || process["pid"] == parent) below.push_back(process);
    }
    return below;
  }
  // Looks until one has ended a pass.
  Json WaitForOne(pid_t parent) {
    for (const auto limit = Clock::now() + std::chrono::seconds(60); Clock::now() < limit; usleep(50'000)) {
      for (const Json& process : LookBelow(parent)) {
        if (process["tokens"] > 0 && process["busy_share"] > 0) return process;
      }
    }
    ADD_FAILURE() << "no process below " << parent << " was seen to stream; notes " << notes_;
    return Json::object();
  }
  static void ExpectStreams(const Json& process, const std::string& program) {
    if (process.empty()) return;
    EXPECT_EQ(process["model"], "austen-dense-q4_0.gguf");
    EXPECT_EQ(process["program"], program);
    for (const char* key : {"streamed_bytes_per_pass", "resident_target_bytes", "bytes_read", "passes", "pass_ns",
                            "kernel_ns", "own_ns", "process_bytes", "weights_budget_bytes"}) {
      EXPECT_GT(process[key], 0) << key;
    }
    const double shares = process["wait_share"].get<double>() + process["kernel_share"].get<double>() +
                          process["own_share"].get<double>() + process["engine_share"].get<double>();
    EXPECT_GT(shares, 0.9) << process;
    EXPECT_LT(shares, 1.1) << process;
    EXPECT_EQ(process["errors"], 0);
    EXPECT_NE(process["verdict"], "passive");
  }
  std::vector<std::string> Leftovers(pid_t owner) const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator("/dev/shm")) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("headrace-" + std::to_string(owner) + "-")) names.push_back(name);
    }
    return names;
  }

  std::string notes_;
};

TEST_F(TopCommand, SeesARunAndForgetsIt) {
  RunningCommand command = StartRun();
  ExpectStreams(WaitForOne(command.pid()), "llama-server");
  const std::string text = Run({"top", "--once"}).out;
  for (const char* part : {"PID", "LIMITED BY", "austen-dense-q4_0.gguf", "llama-server: "})
    EXPECT_TRUE(Has(text, part)) << part << "\n" << text;
  command.SignalGroup(SIGINT);
  EXPECT_EQ(command.Finish().status, 130);
  EXPECT_TRUE(LookBelow(command.pid()).empty());
}

TEST_F(TopCommand, SeesAPreloadedProgramThatNobodyStarted) {
  const std::string library = fs::path(HEADRACE_COMMAND).parent_path().string() + "/libheadrace.so";
  environment_["LD_PRELOAD"] = library;
  environment_["HEADRACE_FLASH_MODE"] = "on";
  environment_["HEADRACE_WEIGHTS_RAM"] = "4M";
  environment_["HEADRACE_REMEMBER"] = "0";
  std::vector<std::string> words{std::string(HEADRACE_ENGINE_PREFIX) + "/usr/bin/llama-completion", "-m", Model()};
  const auto more = Endless();
  words.insert(words.end(), more.begin(), more.end());
  auto killed = std::make_unique<RunningCommand>(words, environment_);
  for (const char* name : {"LD_PRELOAD", "HEADRACE_FLASH_MODE", "HEADRACE_WEIGHTS_RAM", "HEADRACE_REMEMBER"})
    environment_.erase(name);
  const pid_t pid = killed->pid();
  ExpectStreams(WaitForOne(pid), "llama-completion");
  EXPECT_EQ(Leftovers(pid).size(), 1u);
  killed->SignalCommand(SIGKILL);
  killed.reset();
  EXPECT_TRUE(LookBelow(pid).empty()) << "it is dead";
  EXPECT_TRUE(Leftovers(pid).empty()) << "its file is cleaned up";
}

TEST_F(TopCommand, SeesBothProgramsOfOneExec) {
  std::string line;
  for (const std::string& word : Endless()) line += " '" + word + "'";
  const std::string program =
      std::string(HEADRACE_ENGINE_PREFIX) + "/usr/bin/llama-completion -m '" + Model() + "'" + line + " > /dev/null";
  RunningCommand command = Start({"exec", "--flash-mode", "on", "--weights-ram", "4M", "--", "/bin/sh", "-c",
                                  program + " & " + program + " & wait"});
  size_t most = 0;
  for (const auto limit = Clock::now() + std::chrono::seconds(60); most < 2 && Clock::now() < limit; usleep(50'000)) {
    const auto all = Look();
    most = static_cast<size_t>(std::count_if(all.begin(), all.end(), [&](const Json& process) {
      return getpgid(process["pid"].get<pid_t>()) == command.pid();
    }));
  }
  EXPECT_EQ(most, 2u);
  command.SignalGroup(SIGTERM);
  command.Finish();
  EXPECT_TRUE(Leftovers(command.pid()).empty());
}

TEST_F(TopCommand, JsonAgainAndAgain) {
  RunningCommand command = Start({"top", "--json", "--interval", "0.2"});
  ASSERT_TRUE(command.WaitForOutput("\n{"));
  command.SignalGroup(SIGINT);
  EXPECT_EQ(command.Finish().status, 128 + SIGINT);
}

TEST_F(TopCommand, FilesThatAreNoSnapshotsAreNamedAndKept) {
  const std::string mine = "/dev/shm/headrace-" + std::to_string(getpid()) + "-";
  std::ofstream(mine + "damaged") << "this is no snapshot";
  // Version 2's beginning: magic, version, size.
  const uint64_t magic = 0x3145434152444148;
  const uint32_t old[] = {2, 1000};
  std::ofstream older(mine + "older", std::ios::binary);
  older.write(reinterpret_cast<const char*>(&magic), sizeof magic)
      .write(reinterpret_cast<const char*>(old), sizeof old);
  older << std::string(984, 'x');
  older.close();
  mkfifo((mine + "fifo").c_str(), 0600);
  Look();
  const Outcome text = Run({"top"});
  EXPECT_TRUE(Has(notes_, mine + "damaged holds no statistics")) << notes_;
  EXPECT_TRUE(Has(notes_, mine + "older is of another version")) << notes_;
  EXPECT_TRUE(Has(notes_, mine + "fifo holds no statistics")) << notes_;
  EXPECT_EQ(text.status, 0);
  EXPECT_TRUE(Has(text.out, "another version")) << text.out;
  for (const char* end : {"damaged", "older", "fifo"}) {
    EXPECT_TRUE(fs::exists(mine + end)) << end;
    fs::remove(mine + end);
  }
}

TEST_F(TopCommand, WrongOptions) {
  ExpectError({"top", "--interval", "0"}, 2, "--interval");
  ExpectError({"top", "--no-such"}, 2, "top --help");
  EXPECT_TRUE(Has(Run({"top", "--help"}).out, "headrace top --json --interval 5"));
}

TEST_F(TopCommand, TheScreenShowsItAndQuits) {
  RunningCommand command = StartRun();
  WaitForOne(command.pid());
  PseudoTerminal terminal({HEADRACE_COMMAND, "top", "--interval", "0.2"}, environment_, 200, 24);
  for (const char* part : {"headrace top: ", "WAIT/KERN/OWN %", "austen-dense-q4_0.gguf", "q quit"})
    EXPECT_TRUE(terminal.WaitFor(part)) << terminal.drawn();
  terminal.Forget();
  terminal.Type("\r");
  EXPECT_TRUE(terminal.WaitFor("time in passes")) << terminal.drawn();
  terminal.Type("\x1bOB\r");
  EXPECT_TRUE(terminal.WaitFor("LIMITED BY")) << terminal.drawn();
  terminal.Forget();
  terminal.Resize(40, 10);
  EXPECT_TRUE(terminal.WaitFor("q quit")) << terminal.drawn();
  EXPECT_FALSE(Has(terminal.drawn(), "WAIT/KERN/OWN %")) << terminal.drawn();
  terminal.Forget();
  terminal.Resize(120, 30);
  EXPECT_TRUE(terminal.WaitFor("DISK GB/S")) << terminal.drawn();
  terminal.Type("q");
  EXPECT_EQ(terminal.Finish(), 0);
}

TEST_F(TopCommand, TheSmallestScreens) {
  for (const auto& [columns, lines] : {std::pair<unsigned short, unsigned short>{40, 10}, {1, 1}, {5, 2}}) {
    PseudoTerminal terminal({HEADRACE_COMMAND, "top", "--interval", "0.1"}, environment_, columns, lines);
    EXPECT_TRUE(terminal.WaitFor("q")) << terminal.drawn();
    terminal.Type("q");
    EXPECT_EQ(terminal.Finish(), 0) << columns << "x" << lines;
  }
}

TEST_F(TopCommand, ATerminalWithoutAName) {
  environment_["TERM"] = "no-such-terminal";
  PseudoTerminal terminal({HEADRACE_COMMAND, "top"}, environment_, 80, 24);
  EXPECT_TRUE(terminal.WaitFor("top --once")) << terminal.drawn();
  EXPECT_EQ(terminal.Finish(), 2);
}

}  // namespace
}  // namespace headrace::cli
