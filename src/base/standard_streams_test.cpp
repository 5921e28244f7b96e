#include "base/standard_streams.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "base/descriptor.h"
#include "base/log.h"
#include "base/say.h"

namespace headrace {
namespace {

struct Pipe {
  Pipe() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    read = Descriptor(ends[0]);
    write = Descriptor(ends[1]);
  }
  Descriptor read, write;
};

// The status of a forked process that does `work` and returns what that does; 128 and more: ended by a signal.
int InAProcess(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(WriteAll, SaysWhatFailed) {
  const Descriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC)), readable(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(WriteAll(full.get(), "text"), ENOSPC);
  EXPECT_EQ(WriteAll(readable.get(), "text"), EBADF);
  EXPECT_EQ(WriteAll(-1, "text"), EBADF);
  EXPECT_EQ(WriteAll(full.get(), ""), 0);
}

TEST(WriteAll, AReaderThatIsGoneIsAnErrorAndNoSignal) {
  const int status = InAProcess([] {
    std::signal(SIGPIPE, SIG_DFL);
    Pipe pipe;
    pipe.read = Descriptor();
    errno = 7;
    const int error = WriteAll(pipe.write.get(), "text");
    sigset_t waiting;
    sigpending(&waiting);
    return error == EPIPE && errno == 7 && sigismember(&waiting, SIGPIPE) == 0 ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
}

TEST(WriteAll, WaitsForRoomInADescriptorThatWouldNot) {
  Pipe pipe;
  ASSERT_EQ(::fcntl(pipe.write.get(), F_SETFL, O_NONBLOCK), 0);
  const std::string text(1 << 20, 'x');
  size_t got = 0;
  std::thread reader([&] {
    std::string piece(4096, '\0');
    for (ssize_t count = 0; (count = ::read(pipe.read.get(), piece.data(), piece.size())) > 0;)
      got += static_cast<size_t>(count);
  });
  EXPECT_EQ(WriteAll(pipe.write.get(), text), 0);
  pipe.write = Descriptor();
  reader.join();
  EXPECT_EQ(got, text.size());
}

TEST(WriteWhatFits, DoesNotWaitForASlowReader) {
  Pipe pipe;
  int error = 0;
  for (int i = 0; i < 1000 && error == 0; ++i) error = WriteWhatFits(pipe.write.get(), std::string(1000, 'x'));
  EXPECT_EQ(error, EAGAIN);
  const Descriptor file(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  EXPECT_EQ(WriteWhatFits(file.get(), std::string(1 << 20, 'x')), 0);
}

TEST(OpenStandardStreams, NoFileTakesTheNumberOfAClosedOne) {
  const int status = InAProcess([] {
    for (const int fd : {0, 1, 2}) ::close(fd);
    OpenStandardStreams();
    const Descriptor file(::open("/dev/null", O_RDWR));
    char byte = 0;
    const bool fail = ::write(1, "x", 1) < 0 && ::write(2, "x", 1) < 0 && ::read(0, &byte, 1) < 0;
    return file.get() > 2 && fail ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
}

TEST(OpenStandardStreams, LeavesThoseThatAreOpen) {
  const int status = InAProcess([] {
    Pipe pipe;
    ::dup2(pipe.write.get(), 1);
    ::close(0);
    OpenStandardStreams();
    char byte = 0;
    return ::write(1, "x", 1) == 1 && ::read(pipe.read.get(), &byte, 1) == 1 ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
}

TEST(AboveStandardStreams, TakesNoNumberOfAStandardStream) {
  const int status = InAProcess([] {
    ::close(2);
    const Descriptor file = AboveStandardStreams(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
    char byte = 1;
    const bool reads = ::read(file.get(), &byte, 1) == 1 && byte == 0;
    return reads && file.get() > 2 && (::fcntl(file.get(), F_GETFD) & FD_CLOEXEC) != 0 && ::fcntl(2, F_GETFD) < 0 ? 0
                                                                                                                  : 1;
  });
  EXPECT_EQ(status, 0);
  errno = ENOENT;
  EXPECT_FALSE(AboveStandardStreams(-1).valid());
  EXPECT_EQ(errno, ENOENT);
}

TEST(Log, NothingGoesIntoAFileThatTookTheNumberOfStandardError) {
  char name[] = "log_test_XXXXXX";
  const Descriptor made(::mkstemp(name));
  ASSERT_TRUE(made.valid());
  const auto text = [&] {
    std::ifstream file(name);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  EXPECT_EQ(InAProcess([&] {
              ::close(2);
              if (::open(name, O_RDWR) != 2) return 1;  // as a program that closed it and opened a file of its own
              LogWarning("for the user");
              return 0;
            }),
            0);
  EXPECT_EQ(text(), "");
  EXPECT_EQ(InAProcess([&] {
              ::close(2);
              if (::open(name, O_RDWR) != 2) return 1;
              RememberStandardError();
              LogWarning("for the user");
              return 0;
            }),
            0);
  EXPECT_EQ(text(), "headrace: for the user\n");
  ::unlink(name);
}

TEST(Log, AFullOrBrokenStandardErrorStopsNothing) {
  EXPECT_EQ(InAProcess([] {
              std::signal(SIGPIPE, SIG_DFL);
              Pipe pipe;
              ::dup2(pipe.write.get(), 2);
              pipe.read = Descriptor();
              RememberStandardError();
              LogWarning("nobody reads this");
              ::dup2(::open("/dev/full", O_WRONLY), 2);
              RememberStandardError();
              LogWarning("there is no room for this");
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace headrace
