#include "process/stop_signals.h"

#include "process/start_signals.h"

namespace headrace::cli {
namespace {

volatile sig_atomic_t g_stop_signal = 0;

}  // namespace

StopSignals::StopSignals() {
  Forget();
  struct sigaction action {};
  action.sa_handler = [](int signal) { g_stop_signal = signal; };
  for (const int signal : EndingSignals()) sigaction(signal, &action, &before_[signal]);
}

StopSignals::~StopSignals() {
  for (const int signal : EndingSignals()) sigaction(signal, &before_[signal], nullptr);
}

int StopSignals::last() { return g_stop_signal; }

void StopSignals::Forget() { g_stop_signal = 0; }

}  // namespace headrace::cli
