#include "io/read_thread.h"

#include <utility>

#include "base/thread.h"
#include "io/time_slice.h"

namespace headrace {

Result<std::thread> StartReadThread(const std::string& name, std::function<void()> body) {
  return StartThread(name, [body = std::move(body)] {
    ShortenTimeSlice();
    body();
  });
}

}  // namespace headrace
