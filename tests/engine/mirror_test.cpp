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
  expect(run("", folder_), 2, "if nobody needs it, delete it");
  EXPECT_TRUE(fs::exists(Copy()));
}

// What the command says, on both streams.
std::string Said(const std::string& arguments, const std::string& folder) {
  static_cast<void>(
      std::system((std::string(HEADRACE_PROGRAM) + " " + arguments + " > '" + folder + "/said' 2>&1").c_str()));
  std::ifstream said(folder + "/said");
  return {std::istreambuf_iterator<char>(said), {}};
}

TEST_F(Mirror, IsExaminedByDoctor) {
  const auto doctor = [&] { return Said("doctor '" + work_.model + "' --mirror '" + folder_ + "'", folder_); };
  const auto expect = [](const std::string& said, const std::string& text) {
    EXPECT_NE(said.find(text), std::string::npos) << text << " not in\n" << said;
  };
  expect(doctor(), "holds no copy of " + kMirrored);
  expect(doctor(), "headrace mirror " + work_.model + " " + folder_);
  std::ofstream(Copy() + ".copying") << "begun";
  expect(doctor(), "is not finished");
  CopyAll();
  expect(doctor(), Copy() + ": all of the model, ");
  expect(doctor(), work_.model + ": all of the model, ");
  std::fstream(Copy(), std::ios::in | std::ios::out | std::ios::binary).seekp(100'000).write("damaged", 7);
  expect(doctor(), "differs from");
  expect(doctor(), "delete it, then: headrace mirror");
  fs::remove(Copy());
  expect(Said("mirror --share 0.5 '" + work_.model + "' '" + folder_ + "'", folder_), "copied");
  expect(doctor(), Copy() + ".part-copy: 50 % of the model, ");
  expect(Said("doctor '" + folder_ + "' --mirror '" + folder_ + "'", folder_), "headrace doctor MODEL --mirror");
}

// Real ones: partitions of a loop device.
TEST_F(Mirror, OnAnotherPartitionOfTheSameDiskIsMadeAndSaid) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to make partitions";
  const auto run = [](const std::string& command) { return std::system(command.c_str()) == 0; };
  const std::string one = folder_ + "/one", two = folder_ + "/two";
  // Partitions of 48 MB, in sectors. The loop device goes with its last user.
  if (!run("cd " + folder_ +
           " && mkdir one two && truncate -s 100M image && loop=$(losetup -P -f --show image) && "
           "addpart $loop 1 2048 98304 && addpart $loop 2 100352 98304 && for i in 1 2; do "
           "PATH=$PATH:/usr/sbin mkfs.ext4 -q -F -O ^has_journal ${loop}p$i || exit 1; done; "
           "mount ${loop}p1 one && mount ${loop}p2 two && losetup -d $loop"))
    GTEST_SKIP() << "cannot mount partitions of a loop device";
  fs::copy_file(work_.model, one + "/" + kMirrored);
  const std::string both = one + "/" + kMirrored + " and " + two;
  for (const std::string& arguments :
       {"mirror " + one + "/" + kMirrored + " " + two, "doctor " + one + "/" + kMirrored + " --mirror " + two,
        "plan " + one + "/" + kMirrored + " --mirror " + two}) {
    const std::string said = Said(arguments, folder_);
    EXPECT_NE(said.find(both), std::string::npos) << said;
    EXPECT_NE(said.find("both lie on one disk (loop"), std::string::npos) << said;
  }
  EXPECT_TRUE(fs::exists(two + "/" + kMirrored)) << "it is made all the same";
  EXPECT_TRUE(run("umount -l " + one + " " + two));
}

// Stopped by a signal, and by a full disk.
TEST_F(Mirror, ThatWasStoppedGoesOn) {
  const std::string mirror = "mirror '" + work_.model + "' '" + folder_ + "'";
  const auto expect = [](const std::string& said, const std::string& text) {
    EXPECT_NE(said.find(text), std::string::npos) << text << " not in\n" << said;
  };
  // The first piece, as SIGKILL leaves it.
  const std::string begun = Copy() + ".copying";
  static_cast<void>(std::system(("head -c 5000000 '" + work_.model + "' > '" + begun + "'").c_str()));
  const std::string said = Said(mirror, folder_);
  expect(said, "a copy was begun here");
  expect(said, "and 4.00 MiB were there from before");
  EXPECT_FALSE(fs::exists(begun));
  expect(Said("mirror --verify '" + work_.model + "' '" + folder_ + "'", folder_), "every byte");
  fs::rename(Copy(), begun);
  expect(Said("mirror --remove '" + work_.model + "' '" + folder_ + "'", folder_), "removed " + begun);
  EXPECT_FALSE(fs::exists(begun));
  // A limit on the size of files is a disk that becomes full.
  const std::string limited = "/bin/sh -c 'trap \"\" XFSZ; ulimit -f 10000; exec " + std::string(HEADRACE_PROGRAM) +
                              " mirror \"" + work_.model + "\" \"" + folder_ + "\"' > '" + folder_ + "/said' 2>&1";
  EXPECT_NE(std::system(limited.c_str()), 0);
  std::ifstream file(folder_ + "/said");
  expect(std::string(std::istreambuf_iterator<char>(file), {}), "the same command goes on with it");
  EXPECT_GT(fs::file_size(begun), 4u * kMiB);
  expect(Said(mirror, folder_), "were there from before");
  expect(Said("mirror --verify '" + work_.model + "' '" + folder_ + "'", folder_), "every byte");
}

// A control group in which reads of a device can be held up without an error; the test and its children are in it.
class HeldReads {
 public:
  static constexpr const char* kGroups = "/sys/fs/cgroup/blkio";
  HeldReads() : path_(kGroups + ("/headrace-test-" + std::to_string(::getpid()))) {
    std::error_code error;
    made_ = fs::create_directory(path_, error) && fs::exists(Limit()) && Enter();
  }
  ~HeldReads() {
    if (!made_) return;
    // All of it: a shell may still be there.
    std::ifstream procs(path_ + "/cgroup.procs");
    for (std::string pid; procs >> pid;) std::ofstream(std::string(kGroups) + "/cgroup.procs") << pid;
    ::rmdir(path_.c_str());
  }
  bool made() const { return made_; }
  std::string Limit() const { return path_ + "/blkio.throttle.read_bps_device"; }

 private:
  bool Enter() {
    std::ofstream procs(path_ + "/cgroup.procs");
    procs << ::getpid() << std::flush;
    return procs.good();
  }
  std::string path_;
  bool made_ = false;
};

bool Succeeds(const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()) == 0; }

// A file system in a file, on a loop device of its own.
bool MountLoop(const std::string& image, const std::string& folder) {
  fs::create_directory(folder);
  return Succeeds("truncate -s 64M " + image + " && PATH=$PATH:/usr/sbin mkfs.ext4 -q -F -O ^has_journal " + image +
                  " && mount -o loop " + image + " " + folder);
}

// The kernel reports nothing: reads do not end until they are let go, 14 seconds later.
TEST_F(Mirror, OnADriveThatHangs) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to make a device that hangs";
  const HeldReads held;
  if (!held.made()) GTEST_SKIP() << "needs the blkio controller of version 1 to make a device that hangs";
  const std::string image = folder_ + "/image", mounted = folder_ + "/drive";
  if (!MountLoop(image, mounted)) GTEST_SKIP() << "cannot mount a loop device";
  fs::copy_file(work_.model, mounted + "/" + kMirrored);
  work_.decode = 200;
  for (const char* reader : {"uring", "pread"}) {
    // After 2 MB.
    const std::string hang =
        "(sync -f " + mounted + "; loop=/sys/block/$(basename $(findmnt -no SOURCE " + mounted +
        ")); read a b before rest < $loop/stat; for i in $(seq 3000); do read a b sectors rest < $loop/stat; "
        "[ $((sectors - before)) -gt 4000 ] && break; sleep 0.02; done; echo $(cat $loop/dev) 1 > " +
        held.Limit() + "; sleep 14; echo $(cat $loop/dev) 0 > " + held.Limit() + ") &";
    static_cast<void>(std::system(hang.c_str()));
    const EngineRun streamed =
        RunStreamed(work_, kMirrorBudget, {{"HEADRACE_MIRROR", mounted}, {"HEADRACE_READER", reader}});
    EXPECT_TRUE(SameBytes(RunStock(work_), streamed));
    const auto lines = Lines(streamed.child.err, "this drive is silent");
    EXPECT_EQ(lines.size(), 1u) << streamed.child.Describe();
    for (const std::string& line : lines) EXPECT_NE(line.find(mounted + "/" + kMirrored), std::string::npos) << line;
  }
  EXPECT_TRUE(Succeeds("umount -l " + mounted));
}

// A file system on a device that stops to work: reads of it fail in the kernel.
TEST_F(Mirror, OnADriveThatIsTakenAway) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to make a device that fails";
  const std::string image = folder_ + "/image", mounted = folder_ + "/drive";
  if (!MountLoop(image, mounted)) GTEST_SKIP() << "cannot mount a loop device";
  fs::copy_file(work_.model, mounted + "/" + kMirrored);
  work_.decode = 200;
  // When 2 MB more were read from it (its counters are older than this file system) the device loses all but its first
  // megabyte: later reads meet its end.
  const std::string pull = "(sync -f " + mounted + "; stat=/sys/block/$(basename $(findmnt -no SOURCE " + mounted +
                           "))/stat; read a b before rest < $stat; for i in $(seq 3000); do read a b sectors rest < "
                           "$stat; [ $((sectors - before)) -gt 4000 ] && break; sleep 0.02; done; truncate -s 1M " +
                           image + ") &";
  static_cast<void>(std::system(pull.c_str()));
  const EngineRun streamed = RunStreamed(work_, kMirrorBudget, {{"HEADRACE_MIRROR", mounted}});
  EXPECT_TRUE(SameBytes(RunStock(work_), streamed));
  EXPECT_EQ(Lines(streamed.child.err, "this drive fails").size(), 1u) << streamed.child.Describe();
  EXPECT_TRUE(Succeeds("umount -l " + mounted));
}

}  // namespace
}  // namespace headrace::testing
