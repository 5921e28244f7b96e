// The budget follows what there is while a model generates: real memory cgroups whose limits move, other processes that
// take memory. The text stays that of an undisturbed run, and the kernel never has to kill.
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <thread>

#include "base/size.h"
#include "children_memory.h"
#include "group_command.h"

namespace headrace::cli {
namespace {

bool Ended(const RunningCommand& command) {
  std::ifstream stat("/proc/" + std::to_string(command.pid()) + "/stat");
  std::string id, name, state;
  return !(stat >> id >> name >> state) || state == "Z";
}

// Polls until it holds; false after two minutes, or when the command has ended.
bool Await(const RunningCommand& command, const std::function<bool()>& holds) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > limit || Ended(command)) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

// A process in the group that takes so much memory, 4 MiB at a time, and keeps it until it is killed.
class Hog {
 public:
  Hog(const MemoryGroup& group, uint64_t bytes) : pid_(fork()) {
    if (pid_ != 0) return;
    std::ofstream(group.procs()) << getpid() << std::flush;
    for (uint64_t taken = 0; taken < bytes; taken += 4 * kMiB) {
      void* const memory = mmap(nullptr, 4 * kMiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (memory == MAP_FAILED) _exit(1);
      std::memset(memory, 1, 4 * kMiB);
      usleep(20'000);
    }
    while (true) pause();
  }
  ~Hog() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  uint64_t Memory() const {
    std::ifstream statm("/proc/" + std::to_string(pid_) + "/statm");
    uint64_t size = 0, resident = 0, shared = 0;
    statm >> size >> resident >> shared;
    return (resident - shared) * PageBytes();
  }

 private:
  const pid_t pid_;
};

struct Size {
  const char* preset;
  int layers;          // 0: the preset's
  uint64_t high, low;  // limits of the group
  const char* tokens;
  friend void PrintTo(const Size& size, std::ostream* out) { *out << size.preset; }
};

class MemoryFollows : public GroupTest, public testing::WithParamInterface<Size> {
 protected:
  std::vector<std::string> Generate(const std::string& model, const char* tokens, std::vector<std::string> more) {
    std::vector<std::string> arguments = {"run", model,    "-p", "It is a truth", "-n",        tokens, "-c",
                                          "512", "--temp", "0",  "--raw",         "--kernels", "plain"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
};

TEST_P(MemoryFollows, ALimitThatFallsAndRisesAgain) {
  const auto [preset, layers, high, low, tokens] = GetParam();
  const std::string model = Generated(preset, layers);
  MemoryGroup group(high);
  if (!group.usable()) GTEST_SKIP() << "cannot make a memory cgroup here";
  RunningCommand command = StartIn(group, Generate(model, tokens, {}));
  const auto memory = [&] { return MemoryOfChildren(command.pid()); };
  ASSERT_TRUE(Await(command, [&] { return memory() > high / 2; })) << "the model fills what there is\n"
                                                                   << command.Finish().err;
  // Each step leaves the watch the time for a look (memory/memory_watch.h).
  const auto step = [&] {
    usleep(250'000);
    return Await(command, [] { return true; });
  };
  ASSERT_TRUE(group.LowerLimit(high, low, step)) << command.Finish().err;
  EXPECT_TRUE(Await(command, [&] { return memory() < low; }));
  ASSERT_TRUE(group.SetLimit(high));
  EXPECT_TRUE(Await(command, [&] { return memory() > high / 2; })) << "memory that returns is used again";
  const Outcome streamed = command.Finish();
  ASSERT_EQ(streamed.status, 0) << streamed.err;
  EXPECT_EQ(group.Kills(), 0u);
  EXPECT_LE(group.Peak(), high);
  EXPECT_TRUE(SameText(streamed.out, Run(Generate(model, tokens, {"--flash-mode", "on", "--weights-ram", "5G"})).out));
}

// Memory fills at several GB/s; the limit comes down to just above what is in use in one go, then by what is given
// back.
class MemoryFills : public MemoryFollows {};

TEST_P(MemoryFills, WhileItsLimitFalls) {
  const auto [preset, layers, high, low, tokens] = GetParam();
  const std::string model = Generated(preset, layers);
  for (int eighths = 1; eighths <= 5; ++eighths) {
    MemoryGroup group(high);
    if (!group.usable()) GTEST_SKIP() << "cannot make a memory cgroup here";
    RunningCommand command = StartIn(group, Generate(model, tokens, {"--speculate", "off"}));
    const uint64_t filled = high / 8 * static_cast<uint64_t>(eighths);
    // No pause: what is lowered is in the middle of filling.
    while (MemoryOfChildren(command.pid()) < filled && !Ended(command)) {
    }
    const auto step = [&] {
      usleep(10'000);
      return !Ended(command);
    };
    group.LowerLimit(high, low, step);
    const Outcome outcome = command.Finish();
    EXPECT_EQ(outcome.status, 0) << eighths << "/8 full: " << outcome.err;
    EXPECT_EQ(group.Kills(), 0u) << eighths << "/8 full";
  }
}

TEST_P(MemoryFollows, AProcessThatTakesMemory) {
  const auto [preset, layers, high, low, tokens] = GetParam();
  const std::string model = Generated(preset, layers);
  MemoryGroup group(high);
  if (!group.usable()) GTEST_SKIP() << "cannot make a memory cgroup here";
  RunningCommand command = StartIn(group, Generate(model, tokens, {"--ram", "auto"}));
  const auto memory = [&] { return MemoryOfChildren(command.pid()); };
  ASSERT_TRUE(Await(command, [&] { return memory() > high / 2; })) << command.Finish().err;
  {
    const Hog hog(group, high - low);
    EXPECT_TRUE(Await(command, [&] { return hog.Memory() >= high - low; })) << "the other gets what it wants";
    EXPECT_TRUE(Await(command, [&] { return memory() < low; }));
  }
  EXPECT_TRUE(Await(command, [&] { return memory() > high / 2; }));
  const Outcome streamed = command.Finish();
  ASSERT_EQ(streamed.status, 0) << streamed.err;
  EXPECT_EQ(group.Kills(), 0u);
}

// A swap file for the whole system while this lives.
class SwapFile {
 public:
  explicit SwapFile(const std::string& path) : path_(path) {
    const std::string make = "dd if=/dev/zero of=" + path + " bs=1M count=512 2>/dev/null && chmod 600 " + path +
                             " && mkswap " + path + " >/dev/null";
    usable_ = std::system(make.c_str()) == 0 && swapon(path.c_str(), 0) == 0;
  }
  ~SwapFile() {
    if (usable_) swapoff(path_.c_str());
    unlink(path_.c_str());
  }
  bool usable() const { return usable_; }

 private:
  const std::string path_;
  bool usable_ = false;
};

class SlowMemoryFollows : public GroupTest {};

// With swap the kernel accepts a limit that is far below what is in use. What it swaps out of the weights is given up:
// what stays in swap is the engine's own, of which it needs little.
TEST_F(SlowMemoryFollows, WeightsAreNotSwapped) {
  const SwapFile swap(tree_.Path("swap"));
  if (!swap.usable()) GTEST_SKIP() << "no swap can be added here";
  const std::string model = Generated("mid");
  MemoryGroup group(600 * kMiB);
  if (!group.usable()) GTEST_SKIP() << "cannot make a memory cgroup here";
  const auto generate = [&](const char* limit, const char* size) {
    return std::vector<std::string>{"run", model,   "-p",        "It is a truth", "-n",  "150", "--temp",
                                    "0",   "--raw", "--kernels", "plain",         limit, size};
  };
  RunningCommand command = StartIn(group, generate("--ram", "auto"));
  const auto memory = [&] { return MemoryOfChildren(command.pid()); };
  ASSERT_TRUE(Await(command, [&] { return memory() > 300 * kMiB; })) << command.Finish().err;
  ASSERT_TRUE(group.SetLimit(300 * kMiB));
  EXPECT_TRUE(Await(command, [&] { return memory() + SwappedOfChildren(command.pid()) < 250 * kMiB; }))
      << "most of the weights are in neither";
  const uint64_t swapped = SwappedOfChildren(command.pid());
  EXPECT_LT(swapped, 120 * kMiB);
  const Outcome streamed = command.Finish();
  ASSERT_EQ(streamed.status, 0) << streamed.err;
  EXPECT_EQ(group.Kills(), 0u);
  EXPECT_TRUE(SameText(streamed.out, Run(generate("--weights-ram", "200M")).out));
}

std::string NameOf(const testing::TestParamInfo<Size>& info) {
  return info.param.layers > 0 ? "mixture" : std::string(info.param.preset) == "mid" ? "mid" : "large";
}

INSTANTIATE_TEST_SUITE_P(Short, MemoryFollows, testing::Values(Size{"mid", 0, 600 * kMiB, 250 * kMiB, "160"}), NameOf);
INSTANTIATE_TEST_SUITE_P(Short, MemoryFills,
                         testing::Values(Size{"mid", 0, 600 * kMiB, 250 * kMiB, "4"},
                                         Size{"moe-5g", 2, 600 * kMiB, 250 * kMiB, "40"}),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Slow, MemoryFollows, testing::Values(Size{"llama-4g", 0, 3 * kGiB, kGiB, "100"}), NameOf);

}  // namespace
}  // namespace headrace::cli
