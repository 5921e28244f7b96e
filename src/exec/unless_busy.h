// Work that needs a lock, done by a caller who must not wait for it.
#pragma once

#include <mutex>

namespace headrace {

// Does `work` with the lock while there is `any`. Who cannot have the lock leaves the work to whoever has: all who hold
// it call this after they have given it back, so nothing stays undone. `any` is called without the lock and guards what
// it looks at itself. Throws what the two throw.
template <typename Any, typename Work>
void DoUnlessBusy(std::mutex& mutex, const Any& any, const Work& work) {
  while (any()) {
    const std::unique_lock lock(mutex, std::try_to_lock);
    if (!lock.owns_lock()) return;
    work();
  }
}

}  // namespace headrace
