// Which reader MakeReader makes, and how it behaves in somebody else's process.
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>

#include "io/io_test_util.h"
#include "io/reader.h"

namespace headrace {
namespace {

TEST(MakeReader, TakesSensibleDepthsOnly) {
  for (const ReaderKind kind : {ReaderKind::kAuto, ReaderKind::kUring, ReaderKind::kPread}) {
    EXPECT_EQ(MakeReader(kind, 0).status().code(), Code::kInvalidArgument);
    EXPECT_EQ(MakeReader(kind, kMaxReaderDepth + 1).status().code(), Code::kInvalidArgument);
  }
  for (const unsigned depth : {1u, 3u, kMaxReaderDepth}) {
    const auto reader = MakeReader(ReaderKind::kAuto, depth);
    ASSERT_TRUE(reader.ok()) << reader.status().message();
    EXPECT_EQ((*reader)->depth(), depth);
  }
}

// What a child that may not use one system call sees: 0 if all is as it must be.
int InSandbox(int system_call, int error) {
  const pid_t child = ::fork();
  if (child == 0) {
    sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
                            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(system_call), 0, 1),
                            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
                            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog program{4, filter};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
      ::_exit(100);
    }
    const auto uring = MakeReader(ReaderKind::kUring, 4);
    if (uring.ok() || uring.status().code() != Code::kUnsupported) ::_exit(1);
    if (uring.status().message().find(std::strerror(error)) == std::string::npos) ::_exit(2);
    const auto reader = MakeReader(ReaderKind::kAuto, 4);
    if (!reader.ok() || (*reader)->name() != "pread") ::_exit(3);
    ::_exit(0);
  }
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(MakeReader, FallsBackWhereIoUringIsRefused) {
  const int refused = InSandbox(__NR_io_uring_setup, EPERM);
  ASSERT_NE(refused, 100) << "no seccomp filters here";
  EXPECT_EQ(refused, 0);
  EXPECT_EQ(InSandbox(__NR_io_uring_setup, ENOSYS), 0);
  EXPECT_EQ(InSandbox(__NR_io_uring_setup, ENOMEM), 0);
  EXPECT_EQ(InSandbox(__NR_io_uring_enter, EPERM), 0);
}

// The fields of the threads whose name is that of the readers'.
std::vector<std::string> ReaderThreads(const std::string& field) {
  std::vector<std::string> values;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream status(task.path() / "status");
    std::string line;
    bool named = false;
    while (std::getline(status, line)) {
      if (line == "Name:\theadrace-io") named = true;
      if (named && line.rfind(field + ":\t", 0) == 0) values.push_back(line.substr(field.size() + 2));
    }
  }
  return values;
}

TEST(PreadReader, ThreadsBlockSignalsAndTheCallersMaskIsKept) {
  sigset_t before, after;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
  {
    const auto reader = MakeReader(ReaderKind::kPread, 3);
    ASSERT_TRUE(reader.ok());
    ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
    EXPECT_EQ(sigismember(&before, SIGUSR1), sigismember(&after, SIGUSR1));
    std::vector<std::string> masks;
    for (int i = 0; i < 100 && (masks = ReaderThreads("SigBlk")).size() < 3; ++i) ::usleep(1000);
    ASSERT_EQ(masks.size(), 3u);
    for (const std::string& mask : masks) {
      const uint64_t blocked = std::stoull(mask, nullptr, 16);
      for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGCHLD, SIGALRM, SIGPROF}) {
        EXPECT_NE(blocked & (uint64_t{1} << (signal - 1)), 0u) << signal;
      }
    }
  }
  EXPECT_TRUE(ReaderThreads("SigBlk").empty());
}

}  // namespace
}  // namespace headrace
