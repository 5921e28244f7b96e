// The budget follows what there is while a model generates: real memory cgroups whose limits move, other processes that take
// memory. The text stays that of an undisturbed run, and the kernel never has to kill.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
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
    return (resident - shared) * kPageBytes;
  }

 private:
  const pid_t pid_;
};

struct Size {
  const char* preset;
  uint64_t high, low;   // limits of the group
  const char* tokens;
  friend void PrintTo(const Size& size, std::ostream* out) { *out << size.preset; }
};

class MemoryFollows : public GroupTest, public testing::WithParamInterface<Size> {
 protected:
  std::vector<std::string> Generate(const std::string& model, std::vector<std::string> more) {
    std::vector<std::string> arguments = {"run", model, "-p", "It is a truth", "-n", GetParam().tokens, "-c", "512", "--temp", "0", "--raw", "--kernels", "plain"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
};

TEST_P(MemoryFollows, ALimitThatFallsAndRisesAgain) {
  const auto [preset, high, low, tokens] = GetParam();
  const std::string model = Generated(preset);
  MemoryGroup group(high);
  if (!group.usable()) GTEST_SKIP() << "cannot make a memory cgroup here";
  RunningCommand command = StartIn(group, Generate(model, {}));
  const auto memory = [&] { return MemoryOfChildren(command.pid()); };
  ASSERT_TRUE(Await(command, [&] { return memory() > high / 2; })) << "the model fills what there is\n" << command.Finish().err;
  ASSERT_TRUE(group.LowerLimit(high, low, [&] { return Await(command, [] { return true; }); })) << command.Finish().err;
  EXPECT_TRUE(Await(command, [&] { return memory() < low; }));
  ASSERT_TRUE(group.SetLimit(high));
  EXPECT_TRUE(Await(command, [&] { return memory() > high / 2; })) << "memory that returns is used again";
  const Outcome streamed = command.Finish();
  ASSERT_EQ(streamed.status, 0) << streamed.err;
  EXPECT_EQ(group.OomKills(), 0u);
  EXPECT_LE(group.Peak(), high);
  EXPECT_EQ(streamed.out, Run(Generate(model, {"--weights-ram", "200M"})).out);
}

TEST_P(MemoryFollows, AProcessThatTakesMemory) {
  const auto [preset, high, low, tokens] = GetParam();
  const std::string model = Generated(preset);
  MemoryGroup group(high);
  if (!group.usable()) GTEST_SKIP() << "cannot make a memory cgroup here";
  RunningCommand command = StartIn(group, Generate(model, {"--ram", "auto"}));
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
  EXPECT_EQ(group.OomKills(), 0u);
}

std::string NameOf(const testing::TestParamInfo<Size>& info) { return std::string(info.param.preset) == "mid" ? "mid" : "large"; }

INSTANTIATE_TEST_SUITE_P(Short, MemoryFollows, testing::Values(Size{"mid", 600 * kMiB, 250 * kMiB, "220"}), NameOf);
INSTANTIATE_TEST_SUITE_P(Slow, MemoryFollows, testing::Values(Size{"llama-4g", 3 * kGiB, kGiB, "100"}), NameOf);

}  // namespace
}  // namespace headrace::cli
