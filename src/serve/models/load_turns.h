// Loads take their turns: each is judged by the memory that the ones before it left. Lives on the loop.
#pragma once

#include <utility>

#include "base/status.h"
#include "http/net.h"
#include "serve/models/waiting_line.h"

namespace headrace::serve {

// Outlives its turns.
class LoadTurns {
 public:
  explicit LoadTurns(const Executor& executor) : free_(executor) {}

  // The right to load, given back at its end.
  class Turn {
   public:
    explicit Turn(LoadTurns& turns) : turns_(&turns) { turns.taken_ = true; }
    ~Turn() {
      if (turns_ == nullptr) return;
      turns_->taken_ = false;
      turns_->free_.NotifyAll();
    }
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;

   private:
    LoadTurns* turns_;
  };

  // Errors: those of Waiter::Wait. Without a waiter it waits as long as it takes.
  Task<Result<Turn>> Take(Waiter* waiter);
  // Who waits looks at once whether it still may.
  void LookAgain() { free_.NotifyAll(); }

 private:
  bool taken_ = false;
  Wakeup free_;
};

}  // namespace headrace::serve
