#include "serve/models/load_turns.h"

namespace headrace::serve {

Task<Result<LoadTurns::Turn>> LoadTurns::Take(Waiter* waiter) {
  while (taken_) {
    if (const Status may = waiter != nullptr ? waiter->Wait() : Status(); !may.ok()) co_return may;
    co_await free_.WaitFor(kWaiterLook);
  }
  if (waiter != nullptr) waiter->Stop();
  co_return Turn(*this);
}

}  // namespace headrace::serve
