// Copies of a model on another drive change no bit: whole ones, parts, those that fail in mid-run, those that differ.
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/size.h"
#include "dump.h"
#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMirrorBudget = 5 * kMiB;
const std::string kMirrored = "austen-dense-q4_0.gguf";

// Another device than that of the models; a name of this process.
class Mirror : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/dev/shm/mirror-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    work_.model = BundledModel(kMirrored);
    work_.prompts = {1, 64};
    work_.decode = 8;
  }
  void TearDown() override {
    if (!folder_.empty()) fs::remove_all(folder_);
  }
  std::string Copy() const { return folder_ + "/" + kMirrored; }
  void CopyAll() const { fs::copy_file(work_.model, Copy()); }

  // Streams with the mirror, compares with stock; what the library said about mirrors and drives.
  std::string Compare(std::map<std::string, std::string> more = {}) {
    more["HEADRACE_MIRROR"] = folder_;
    more["HEADRACE_DEBUG"] = "1";
    const EngineRun run = RunStreamed(work_, kMirrorBudget, more);
    EXPECT_TRUE(SameBytes(RunStock(work_), run));
    EXPECT_TRUE(ReallyStreamed(run, kMirrorBudget, work_.Passes()));
    if (run.snapshot) {
      EXPECT_EQ((*run.snapshot)->reads_failed.load(), 0u) << "what fails on one drive is read from another";
    }
    std::string said;
    for (const char* word : {"mirror ", "is read from", "this drive fails", "not used any more"}) {
      for (const std::string& line : Lines(run.child.err, word)) said += line + "\n";
    }
    return said;
  }

  std::string folder_;
  Work work_;
};

TEST_F(Mirror, OfTheWholeModel) {
  CopyAll();
  EXPECT_NE(Compare().find("is read from " + Copy()), std::string::npos);
}

TEST_F(Mirror, ThatFailsInMidRun) {
  CopyAll();
  for (const char* reader : {"uring", "pread"}) {
    const std::string said = Compare({{"HEADRACE_FAULT", "path=" + folder_ + ",after=5"}, {"HEADRACE_READER", reader}});
    EXPECT_NE(said.find("this drive fails"), std::string::npos) << said;
  }
}

TEST_F(Mirror, OfAnOriginalThatFailsInMidRun) {
  CopyAll();
  const std::string said = Compare({{"HEADRACE_FAULT", "path=" + work_.model + ",after=5"}});
  EXPECT_NE(said.find("this drive fails"), std::string::npos) << said;
}

TEST_F(Mirror, ThatDiffersIsNotUsed) {
  CopyAll();
  std::fstream(Copy(), std::ios::in | std::ios::out | std::ios::binary).seekp(100'000).write("damaged", 7);
  const std::string said = Compare();
  EXPECT_NE(said.find("differs from"), std::string::npos) << said;
  EXPECT_EQ(said.find("is read from"), std::string::npos) << said;
}

TEST_F(Mirror, OfAnotherModelIsNotUsed) {
  fs::copy_file(BundledModel("austen-draft-f16.gguf"), folder_ + "/austen-draft-f16.gguf");
  const std::string said = Compare();
  EXPECT_NE(said.find("holds no copy of " + kMirrored), std::string::npos) << said;
}

TEST_F(Mirror, OfSomeOfTheStripes) {
  const std::string command =
      std::string(HEADRACE_PROGRAM) + " mirror --share 0.5 '" + work_.model + "' '" + folder_ + "'";
  ASSERT_EQ(std::system(command.c_str()), 0);
  ASSERT_FALSE(fs::exists(Copy())) << "a part must not have the name of a model";
  EXPECT_NE(Compare().find("is read from " + Copy() + ".part-copy"), std::string::npos);
  const std::string said = Compare({{"HEADRACE_FAULT", "path=" + folder_ + ",after=3"}});
  EXPECT_NE(said.find("this drive fails"), std::string::npos) << said;
}

// The command, as a user meets it.
TEST_F(Mirror, IsMadeComparedAndRemoved) {
  const auto run = [&](const std::string& options, const std::string& folder) {
    const std::string command = std::string(HEADRACE_PROGRAM) + " mirror " + options + " '" + work_.model + "' '" +
                                folder + "' > '" + folder_ + "/said' 2>&1";
    const int status = std::system(command.c_str());
    std::ifstream said(folder_ + "/said");
    return std::pair(WEXITSTATUS(status), std::string(std::istreambuf_iterator<char>(said), {}));
  };
  const auto expect = [&](const std::pair<int, std::string>& ended, int status, const std::string& text) {
    EXPECT_EQ(ended.first, status) << ended.second;
    EXPECT_NE(ended.second.find(text), std::string::npos) << ended.second;
  };
  expect(run("", folder_ + "/absent"), 2, "mkdir -p");
  expect(run("", fs::path(work_.model).parent_path().string()), 2, "same drive");
  expect(run("--share 0", folder_), 2, "--share 0");
  expect(run("--share 1.5", folder_), 2, "--share 1.5");
  expect(run("--verify", folder_), 1, "holds no copy");
  expect(run("", folder_), 0, "--mirror " + folder_);
  EXPECT_TRUE(fs::exists(Copy()));
  expect(run("", folder_), 0, "there already");
  expect(run("--share 0.5", folder_), 2, "mirror --remove");
  expect(run("--verify", folder_), 0, "every byte");
  std::fstream(Copy(), std::ios::in | std::ios::out | std::ios::binary).seekp(5'000'001).write("damaged", 7);
  expect(run("--verify", folder_), 1, "differs from");
  expect(run("--remove", folder_), 0, "removed");
  EXPECT_FALSE(fs::exists(Copy()));
  fs::copy_file(BundledModel("austen-draft-f16.gguf"), Copy());
  expect(run("--remove", folder_), 1, "was not removed");
  EXPECT_TRUE(fs::exists(Copy()));
}

// A file system on a device that stops to work: reads of it fail in the kernel.
TEST_F(Mirror, OnADriveThatIsTakenAway) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to make a device that fails";
  const auto run = [](const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()) == 0; };
  const std::string image = folder_ + "/image", mounted = folder_ + "/drive";
  fs::create_directory(mounted);
  if (!run("truncate -s 64M " + image + " && PATH=$PATH:/usr/sbin mkfs.ext4 -q -F -O ^has_journal " + image +
           " && mount -o loop " + image + " " + mounted))
    GTEST_SKIP() << "cannot mount a loop device";
  fs::copy_file(work_.model, mounted + "/" + kMirrored);
  work_.decode = 200;
  // When 20 MB more were read from it (its counters are older than this file system) the device loses all but its first
  // megabyte: later reads meet its end.
  const std::string pull = "(sync -f " + mounted + "; stat=/sys/block/$(basename $(findmnt -no SOURCE " + mounted +
                           "))/stat; read a b before rest < $stat; for i in $(seq 3000); do read a b sectors rest < "
                           "$stat; [ $((sectors - before)) -gt 40000 ] && break; sleep 0.02; done; truncate -s 1M " +
                           image + ") &";
  static_cast<void>(std::system(pull.c_str()));
  const EngineRun streamed = RunStreamed(work_, kMirrorBudget, {{"HEADRACE_MIRROR", mounted}});
  EXPECT_TRUE(SameBytes(RunStock(work_), streamed));
  EXPECT_EQ(Lines(streamed.child.err, "this drive fails").size(), 1u) << streamed.child.Describe();
  EXPECT_TRUE(run("umount -l " + mounted));
}

}  // namespace
}  // namespace headrace::testing
