// Programs that open llama.cpp themselves, with local symbol scope, are reached by the preloaded library too.
#include <gtest/gtest.h>
#include <unistd.h>

#include "dump.h"
#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

constexpr uint64_t kBudget = 6u << 20;
const std::string kModel = BundledModel("austen-dense-q4_0.gguf");

// Runs a command that writes its dump to the given path, stock and preloaded, and compares.
void Compare(const std::vector<std::string>& command, const std::string& out, bool repack,
             const std::map<std::string, std::string>& environment = {}) {
  const auto run = [&](std::map<std::string, std::string> variables) {
    unlink(out.c_str());
    variables.insert(environment.begin(), environment.end());
    ChildOptions options;
    options.environment = variables;
    EngineRun result;
    result.child = RunChild(command, options);
    result.dump = ReadWholeFile(out);
    if (variables.count("HEADRACE_SNAPSHOT") > 0) {
      if (auto view = SnapshotView::Open(variables["HEADRACE_SNAPSHOT"]); view.ok()) {
        result.snapshot.emplace(std::move(view).value());
      }
    }
    return result;
  };
  const EngineRun stock = run({});
  auto preloaded = StreamingEnvironment(kBudget, repack);
  preloaded["HEADRACE_SNAPSHOT"] = out + ".snapshot";
  const EngineRun streamed = run(preloaded);
  EXPECT_TRUE(SameBytes(stock, streamed));
  EXPECT_TRUE(ReallyStreamed(streamed, kBudget, 5));
}

std::string Out(const char* name) { return WorkDirectory() + "/" + name + ".dump"; }

// A run time of another language, started by the engine's own loader so that it can load the engine's
// libraries where the system's libc is older than theirs.
std::vector<std::string> UnderEngineLoader(const std::string& program) {
  if (HEADRACE_ENGINE_LOADER[0] == '\0') return {program};
  return {HEADRACE_ENGINE_LOADER, "--library-path", HEADRACE_ENGINE_LIB, program};
}

// The binary of an interpreter found in PATH, which may be a script in front of it; "" when there is none.
std::string Interpreter(const std::vector<std::string>& ask) {
  const ChildResult run = RunChild(ask);
  const auto lines = Lines(run.out);
  return run.Ok() && !lines.empty() ? lines.front() : "";
}

TEST(Dlopen, LocalScope) {
  const std::string out = Out("local");
  Compare({HEADRACE_DLOPEN_HOST, kModel, out, "40", "4", "0"}, out, false);
}

TEST(Dlopen, LocalScopeRepacked) {
  const std::string out = Out("local_repack");
  Compare({HEADRACE_DLOPEN_HOST, kModel, out, "40", "4", "1"}, out, true);
}

TEST(Dlopen, Python) {
  const std::string python = Interpreter({"python3", "-c", "import os,sys; print(os.path.realpath(sys.executable))"});
  ASSERT_FALSE(python.empty()) << "python3 is not installed";
  const std::string out = Out("python");
  std::vector<std::string> command = UnderEngineLoader(python);
  if (!RunChild([&] {
         auto c = command;
         c.insert(c.end(), {"-S", "-c", "import ctypes"});
         return c;
       }())
           .Ok()) {
    GTEST_SKIP() << "this python3 does not run under the engine's loader";
  }
  command.insert(command.end(), {"-S", "-c",
                                 "import ctypes,sys; sys.exit(ctypes.CDLL(sys.argv[1]).DlopenHostRun("
                                 "sys.argv[2].encode(), sys.argv[3].encode(), 40, 4, 0))",
                                 HEADRACE_DLOPEN_ADDON, kModel, out});
  Compare(command, out, false);
}

TEST(Dlopen, Node) {
  const std::string node = Interpreter({"node", "-p", "process.execPath"});
  ASSERT_FALSE(node.empty()) << "Node.js is not installed";
  const std::string out = Out("node");
  std::vector<std::string> command = UnderEngineLoader(node);
  if (!RunChild([&] {
         auto c = command;
         c.insert(c.end(), {"-e", "0"});
         return c;
       }())
           .Ok()) {
    GTEST_SKIP() << "this Node.js does not run under the engine's loader";
  }
  command.insert(command.end(), {"-e", "process.dlopen({exports: {}}, process.argv[1])", HEADRACE_DLOPEN_ADDON});
  Compare(command, out, false, {{"DLOPEN_HOST_MODEL", kModel}, {"DLOPEN_HOST_OUT", out}});
}

}  // namespace
}  // namespace headrace::testing
