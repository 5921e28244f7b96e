// What a worker keeps on disk of weights that were sent to it.
#include <sys/stat.h>

#include <fcntl.h>

#include <filesystem>
#include <fstream>

#include "base/size.h"
#include "worker_process.h"

namespace headrace::serve {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

class WorkerCache : public WorkersTest {
 protected:
  void SetUp() override {
    WorkersTest::SetUp();
    if (IsSkipped()) return;
    if (*HEADRACE_MAKE_MODEL == '\0') GTEST_SKIP() << "headrace-make-model was not built";
    // The engine keeps pieces of more than 10 MiB: here six of 13.5 MiB.
    model_ = tree_.Path("model.gguf");
    ASSERT_EQ(Shell("'" HEADRACE_MAKE_MODEL "' --quiet --type q4_0 --layers 2 --width 2048 --feed-forward 12288 "
                    "--heads 16 --vocabulary 1024 '" +
                    model_ + "'")
                  .status,
              0);
  }

  Words Words4() const {
    return {"run",  model_, "-p", "Hello",     "--raw", "-n",           "4",  "--temp",    "0",    "-c", "512", "--ram",
            "600M", "-t",   "1",  "--kernels", "plain", "--flash-mode", "on", "--workers", worker_};
  }
  std::string Folder() const { return environment_.at("HOME") + "/.cache/headrace/worker"; }
  std::vector<std::string> Pieces() const {
    std::vector<std::string> paths;
    for (const auto& entry : fs::directory_iterator(Folder())) {
      if (entry.path().filename().string().size() == 16) paths.push_back(entry.path());
    }
    return paths;
  }
  uint64_t PieceBytes() const {
    uint64_t bytes = 0;
    for (const std::string& path : Pieces()) bytes += fs::file_size(path);
    return bytes;
  }
  void MakeOld() const {
    const timespec times[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
    for (const std::string& path : Pieces()) ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }
  size_t OldPieces() const {
    size_t count = 0;
    for (const std::string& path : Pieces()) {
      struct stat status {};
      count += stat(path.c_str(), &status) == 0 && status.st_mtim.tv_sec == 1'000'000'000;
    }
    return count;
  }

  std::string model_;
};

TEST_F(WorkerCache, KeepsWhatFitsAndIsUsedAgain) {
  ASSERT_TRUE(StartWorker({"--ram", "700M", "--cache", "60M"}));
  const auto first = Run(Words4());
  ASSERT_EQ(first.status, 0) << first.err;
  ASSERT_EQ(Pieces().size(), 4u) << "of 13.5 MiB, in 60 MiB";
  EXPECT_LE(PieceBytes(), 60 * kMiB);
  MakeOld();
  const auto second = Run(Words4());
  EXPECT_EQ(second.status, 0) << second.err;
  EXPECT_TRUE(cli::SameText(second.out, first.out)) << second.err;
  EXPECT_EQ(Pieces().size(), 4u);
  EXPECT_EQ(OldPieces(), 0u) << "all of them were used";
}

// A disk that was full, or a machine that went off, in the middle of a write.
TEST_F(WorkerCache, WhatIsDamagedIsSentAgain) {
  ASSERT_TRUE(StartWorker({"--ram", "700M"}));
  const auto first = Run(Words4());
  ASSERT_EQ(first.status, 0) << first.err;
  const auto pieces = Pieces();
  ASSERT_EQ(pieces.size(), 6u);
  for (const std::string& path : pieces) fs::resize_file(path, fs::file_size(path) / 2);
  const auto second = Run(Words4());
  EXPECT_EQ(second.status, 0) << second.err;
  EXPECT_TRUE(cli::SameText(second.out, first.out)) << second.out << "\n" << first.out;
  for (const std::string& path : pieces) EXPECT_GT(fs::file_size(path), 13 * kMiB) << "it is whole again";
}

TEST_F(WorkerCache, IsTrimmedAtTheStartButForFilesOfOthers) {
  ASSERT_TRUE(StartWorker({"--ram", "700M"}));
  ASSERT_EQ(Run(Words4()).status, 0);
  ASSERT_EQ(Pieces().size(), 6u);
  EXPECT_EQ(EndWorker().status, 0);
  MakeOld();
  const std::string others = Folder() + "/README";
  std::ofstream(others) << "mine";
  ASSERT_TRUE(StartWorker({"--ram", "700M", "--cache", "30M"}));
  EXPECT_EQ(Pieces().size(), 2u);
  EXPECT_TRUE(fs::exists(others));
}

TEST_F(WorkerCache, SaysWhatIsWrong) {
  ExpectError({"worker", "--cache", "much"}, 2, "--cache");
  ExpectError({"worker", "--cache", "0"}, 2, "--no-cache");
  ASSERT_TRUE(StartWorker({"--ram", "700M", "--no-cache"}));
  ASSERT_EQ(Run(Words4()).status, 0);
  EXPECT_FALSE(fs::exists(Folder()));
}

}  // namespace
}  // namespace headrace::serve
