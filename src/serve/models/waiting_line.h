// Those who wait for a model: for its load, or for room among its requests. How many may wait, and how long, is
// limited.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <optional>
#include <string>

#include "base/status.h"
#include "http/net.h"

namespace headrace::serve {

struct WaitLimits {
  size_t most = 64;                    // requests that wait; 0: who would have to wait is turned away
  std::chrono::seconds longest{1800};  // each of them in all; 0: as long as it takes
};

// What who waits may be told.
struct WaitNews {
  enum class For { kLoad, kTurn, kFirstToken };
  For what = For::kLoad;
  size_t place = 0;                  // in line, 0: nobody is before it
  std::optional<double> expected_s;  // none: not known
  std::string detail;                // what else there is to say, "" for nothing
};

// Of those who wait, how often they look whether they still may.
inline constexpr Millis kWaiterLook{250};

class Waiter;

// Lives on the loop; outlives its waiters.
class WaitingLine {
 public:
  explicit WaitingLine(WaitLimits limits) : limits_(limits) {}
  size_t size() const { return line_.size(); }

 private:
  friend class Waiter;
  const WaitLimits limits_;
  std::list<Waiter*> line_;  // those who wait now, in the order in which they came
};

// One request, which may have to wait several times.
class Waiter {
 public:
  // `gone`: whether nobody waits for its answer any more.
  Waiter(WaitingLine& line, std::string model, std::function<bool()> gone)
      : line_(line), model_(std::move(model)), gone_(std::move(gone)) {}
  ~Waiter() { Stop(); }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // It has to wait, or still has to. Errors: kCancelled when nobody waits for it, when too many do (full), or when it
  // did for too long (late).
  Status Wait();
  // Its turn has come.
  void Stop();

  enum class Refused { kNo, kFull, kLate };
  Refused refused() const { return refused_; }
  const std::string& model() const { return model_; }
  // Its place among those who wait for the same model, 1 for the first; 0 when it does not wait. Who was turned away is
  // told the place that it would have had.
  size_t place() const;
  // For how long the first of those who wait for the same model has waited.
  Clock::duration FirstWaits() const;

 private:
  WaitingLine& line_;
  const std::string model_;
  const std::function<bool()> gone_;
  std::optional<Clock::time_point> since_;  // while it waits
  Clock::duration waited_{};                // before that
  Refused refused_ = Refused::kNo;
};

}  // namespace headrace::serve
