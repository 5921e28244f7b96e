#include "process/start_signals.h"

#include <csignal>

namespace headrace::cli {
namespace {

struct Taken {
  int signal;
  void (*handler)(int);
  struct sigaction before;
};

Taken g_taken[] = {{SIGPIPE, SIG_IGN, {}}, {SIGXFSZ, SIG_IGN, {}}, {SIGCHLD, SIG_DFL, {}}};
sigset_t g_mask_before;
bool g_taken_once = false;

bool IsIgnored(int signal) {
  struct sigaction now {};
  return sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

}  // namespace

void TakeSignals() {
  if (g_taken_once) return;
  for (Taken& taken : g_taken) {
    struct sigaction ours {};
    ours.sa_handler = taken.handler;
    sigaction(taken.signal, &ours, &taken.before);
  }
  sigset_t seen;
  sigemptyset(&seen);
  sigaddset(&seen, SIGCHLD);
  sigprocmask(SIG_UNBLOCK, &seen, &g_mask_before);
  g_taken_once = true;
}

void RestoreSignals() {
  if (!g_taken_once) return;
  for (const Taken& taken : g_taken) sigaction(taken.signal, &taken.before, nullptr);
  sigprocmask(SIG_SETMASK, &g_mask_before, nullptr);
}

std::vector<int> EndingSignals() {
  std::vector<int> signals;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    if (!IsIgnored(signal)) signals.push_back(signal);
  }
  return signals;
}

}  // namespace headrace::cli
