// Signals that end a command in good order instead of at once.
#pragma once

#include <signal.h>

namespace headrace::cli {

// While it lives, the signals that would end this process are noted. What was there before comes back with its end. One
// at a time.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // The last one that came, 0 for none. Any thread.
  static int last();
  // It was dealt with.
  static void Forget();

 private:
  struct sigaction before_[NSIG] = {};
};

}  // namespace headrace::cli
