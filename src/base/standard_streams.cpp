#include "base/standard_streams.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>

namespace headrace {
namespace {

// While it lives, a write to a pipe that nobody reads gives this thread no SIGPIPE.
class NoPipeSignal {
 public:
  NoPipeSignal() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t waiting;
    sigpending(&waiting);
    was_waiting_ = sigismember(&waiting, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoPipeSignal() {
    const timespec now{};
    if (!was_waiting_) {
      while (sigtimedwait(&pipe_, nullptr, &now) < 0 && errno == EINTR) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoPipeSignal(const NoPipeSignal&) = delete;
  NoPipeSignal& operator=(const NoPipeSignal&) = delete;

 private:
  sigset_t pipe_{}, before_{};
  bool was_waiting_ = false;
};

bool HasRoom(int fd) {
  pollfd state = {fd, POLLOUT, 0};
  return ::poll(&state, 1, 0) != 0;  // what is wrong with it the write will tell
}

int Write(int fd, std::string_view text, bool waits) {
  const int saved_errno = errno;
  int error = 0;
  {
    const NoPipeSignal guard;
    while (!text.empty() && error == 0) {
      if (!waits && !HasRoom(fd)) {
        error = EAGAIN;
        break;
      }
      // A pipe that has room has it for so much.
      const ssize_t written = ::write(fd, text.data(), waits ? text.size() : std::min<size_t>(text.size(), PIPE_BUF));
      if (written > 0) {
        text.remove_prefix(static_cast<size_t>(written));
      } else if (written < 0 && errno == EAGAIN && waits) {
        pollfd state = {fd, POLLOUT, 0};
        ::poll(&state, 1, -1);
      } else if (written == 0 || errno != EINTR) {
        error = written == 0 ? EIO : errno;
      }
    }
  }
  errno = saved_errno;
  return error;
}

}  // namespace

void OpenStandardStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest number that is free is this one. The wrong direction: a result that nobody gets must not look as if it
    // was written.
    [[maybe_unused]] const int opened = ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

Descriptor AboveStandardStreams(int fd) {
  Descriptor file(fd);
  if (fd < 0 || fd > STDERR_FILENO) return file;
  return Descriptor(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

int WriteAll(int fd, std::string_view text) { return Write(fd, text, true); }

int WriteWhatFits(int fd, std::string_view text) { return Write(fd, text, false); }

}  // namespace headrace
