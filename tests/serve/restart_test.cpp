// A model whose process crashed is started again by what there is then, not by what its first load saw; and those who
// ask meanwhile are told when.
#include <csignal>
#include <filesystem>
#include <thread>

#include "base/size.h"
#include "memory/memory_group_test.h"
#include "serve_test.h"

namespace headrace::serve {
namespace {

class Restart : public ServeTest {
 protected:
  // A folder with one model.
  std::string Folder() {
    std::filesystem::create_directories(tree_.Path("models"));
    std::filesystem::copy_file(Models() + "/" + kDense + ".gguf",
                               tree_.Path("models/" + std::string(kDense) + ".gguf"));
    return tree_.Path("models");
  }
  bool Crash() {
    const auto children = Children();
    if (children.size() != 1 || kill(children.front(), SIGSEGV) != 0) return false;
    return Eventually([&] { return Model(kDense)["state"] == "crashed"; });
  }
  bool LoadedAgain() {
    return Eventually([&] { return Model(kDense)["state"] == "loaded"; });
  }
};

TEST_F(Restart, TheMemoryOfThenDecides) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to make a memory cgroup";
  const MemoryGroup group(1024 * kMiB);
  if (!group.usable()) GTEST_SKIP() << "no memory cgroup can be made here";
  group_ = group.procs();
  ASSERT_TRUE(StartServer({"--models-dir", Folder()}));
  ASSERT_EQ(Complete(kDense, 1).status, 200);
  const Json before = Model(kDense)["loaded"]["decision"];
  ASSERT_TRUE(Crash());
  ASSERT_TRUE(group.SetLimit(512 * kMiB));
  ASSERT_TRUE(LoadedAgain());
  const Json after = Model(kDense)["loaded"]["decision"];
  EXPECT_GT(before["memory"]["limit_bytes"].get<uint64_t>(), 512 * kMiB);
  EXPECT_LT(after["memory"]["limit_bytes"].get<uint64_t>(), 512 * kMiB) << after.dump();
  EXPECT_EQ(Complete(kDense, 1).status, 200);
  EndServer();
}

TEST_F(Restart, TheFileOfThenDecides) {
  const std::string folder = Folder(), path = folder + "/" + kDense + ".gguf";
  ASSERT_TRUE(StartServer({"--models-dir", folder}));
  ASSERT_EQ(Complete(kDense, 1).status, 200);
  const uint64_t before = Model(kDense)["loaded"]["decision"]["memory"]["weight_bytes"].get<uint64_t>();
  ASSERT_TRUE(Crash());
  std::filesystem::remove(path);
  std::filesystem::copy_file(Models() + "/" + kMoe + ".gguf", path);
  ASSERT_TRUE(LoadedAgain());
  EXPECT_NE(Model(kDense)["loaded"]["decision"]["memory"]["weight_bytes"].get<uint64_t>(), before);
  // One that is gone is given up, with the reason.
  ASSERT_TRUE(Crash());
  std::filesystem::remove(path);
  EXPECT_TRUE(Eventually([&] { return Children().empty() && Complete(kDense, 1).status == 404; }));
  const cli::Outcome end = EndServer();
  EXPECT_TRUE(Has(end.err, "is not started again until it is asked for: the file of")) << end.err;
}

TEST_F(Restart, ThoseWhoAskAreToldWhen) {
  ASSERT_TRUE(StartServer());
  ASSERT_EQ(Complete(kDense, 1).status, 200);
  // The third crash in a row is mended after 4 seconds, which nobody misses.
  for (int crash = 1; crash <= 3; ++crash) {
    ASSERT_TRUE(Crash());
    ASSERT_TRUE(crash == 3 || LoadedAgain());
  }
  const Answer answer = Complete(kDense, 1);
  ASSERT_EQ(answer.status, 503) << answer.text;
  ASSERT_TRUE(answer.headers.contains("retry-after"));
  const int seconds = std::atoi(answer.headers.at("retry-after").c_str());
  EXPECT_GT(seconds, 1);
  EXPECT_TRUE(Has(answer.Error(), "expected to answer in " + std::to_string(seconds) + " s")) << answer.Error();
  ASSERT_TRUE(LoadedAgain());
  EXPECT_EQ(Complete(kDense, 1).status, 200);
}

}  // namespace
}  // namespace headrace::serve
