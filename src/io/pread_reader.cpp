#include "io/pread_reader.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "io/read_thread.h"
#include "io/slot_reader.h"

namespace headrace {
namespace {

constexpr unsigned kMaxThreads = 16;

// What the threads share with the owner. It lives on the heap: a forked child, where the mutex may be
// locked forever, leaves it alone.
struct Shared {
  std::mutex mutex;
  std::condition_variable has_work;
  std::condition_variable has_results;
  std::vector<std::pair<unsigned, ReadProgress*>> waiting;  // guarded by mutex
  std::vector<unsigned> finished;                           // guarded by mutex
  bool stopping = false;                                    // guarded by mutex
  std::vector<std::thread> threads;                         // the owner's
};

void ReadWhole(ReadProgress& progress) {
  ssize_t got = 0;
  do {
    got = ::pread(progress.request().file->fd(), progress.destination(), progress.length(),
                  static_cast<off_t>(progress.offset()));
  } while (!progress.Advance(got < 0 ? -errno : got));
  const ReadRequest& request = progress.request();
  if (!request.file->direct()) request.file->DropCache(request.offset, request.length);
}

void Work(Shared& shared) {
  std::unique_lock lock(shared.mutex);
  for (;;) {
    shared.has_work.wait(lock, [&] { return shared.stopping || !shared.waiting.empty(); });
    if (shared.stopping) return;
    const auto [index, progress] = shared.waiting.front();
    shared.waiting.erase(shared.waiting.begin());
    lock.unlock();
    ReadWhole(*progress);
    lock.lock();
    shared.finished.push_back(index);
    shared.has_results.notify_one();
  }
}

class PreadReader final : public SlotReader {
 public:
  explicit PreadReader(unsigned depth) : SlotReader(depth), shared_(std::make_unique<Shared>()) {
    shared_->waiting.reserve(depth);
    shared_->finished.reserve(depth);
    reaped_.reserve(depth);
  }

  ~PreadReader() override {
    if (InForkedChild()) {
      static_cast<void>(shared_.release());
      return;
    }
    {
      std::lock_guard lock(shared_->mutex);
      shared_->stopping = true;
    }
    shared_->has_work.notify_all();
    for (std::thread& thread : shared_->threads) thread.join();
  }

  // As many threads as the depth can use; kIo when not one starts.
  Status StartThreads() {
    for (unsigned i = 0; i < std::min(depth(), kMaxThreads); ++i) {
      auto thread = StartReadThread("headrace-io", [shared = shared_.get()] { Work(*shared); });
      if (!thread.ok()) return i == 0 ? thread.status() : Status();
      shared_->threads.push_back(std::move(*thread));
    }
    return {};
  }

  std::string_view name() const override { return "pread"; }
  unsigned at_once() const override { return static_cast<unsigned>(shared_->threads.size()); }

 private:
  void Start(std::span<const unsigned> slots) override {
    {
      std::lock_guard lock(shared_->mutex);
      for (const unsigned index : slots) shared_->waiting.emplace_back(index, &slot(index));
    }
    slots.size() == 1 ? shared_->has_work.notify_one() : shared_->has_work.notify_all();
  }

  void Reap(Patience patience) override {
    {
      std::unique_lock lock(shared_->mutex);
      const auto any = [&] { return !shared_->finished.empty(); };
      if (patience == kForEver) {
        shared_->has_results.wait(lock, any);
      } else if (patience > kNoWait) {
        shared_->has_results.wait_for(lock, patience, any);
      }
      std::swap(reaped_, shared_->finished);
    }
    for (const unsigned index : reaped_) Finish(index, slot(index).status());
    reaped_.clear();
  }

  std::unique_ptr<Shared> shared_;
  std::vector<unsigned> reaped_;
};

}  // namespace

Result<std::unique_ptr<Reader>> MakePreadReader(unsigned depth) {
  auto reader = std::make_unique<PreadReader>(depth);
  HEADRACE_RETURN_IF_ERROR(reader->StartThreads());
  return std::unique_ptr<Reader>(std::move(reader));
}

}  // namespace headrace
