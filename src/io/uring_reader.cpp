#include "io/uring_reader.h"

#include <fmt/format.h>
#include <liburing.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "io/slot_reader.h"

namespace headrace {
namespace {

// The kernel may be out of memory for a moment: it is asked again for about a second.
constexpr int kMaxStalls = 1000;
constexpr useconds_t kStallMicroseconds = 1000;

class UringReader final : public SlotReader {
 public:
  explicit UringReader(unsigned depth) : SlotReader(depth) { queued_.reserve(depth); }

  ~UringReader() override {
    // A forked child shares the ring with its parent and must not take anything out of it.
    if (!open_ || InForkedChild()) return;
    stopping_ = true;
    queued_.clear();
    while (in_kernel_ > 0) Reap(kForEver);
    ::io_uring_queue_exit(&ring_);
  }

  Status Open();
  std::string_view name() const override { return "uring"; }

 private:
  void Start(std::span<const unsigned> slots) override;
  void Reap(Patience patience) override;

  void Enqueue(unsigned index);
  void Flush();
  void TakeCompletions();
  void Complete(unsigned index, int result);
  void GiveUp(const char* action, int error);

  io_uring ring_{};
  bool open_ = false;
  bool stopping_ = false;         // nothing is begun any more
  bool blind_ = false;            // the kernel cannot be asked to wait: completions are looked for
  std::optional<Status> broken_;  // why the ring takes no requests any more
  std::vector<unsigned> queued_;  // slots in the submission queue, in order
  std::vector<bool> kernel_has_ = std::vector<bool>(depth());
  unsigned in_kernel_ = 0;
  int stalls_ = 0;
};

Status UringReader::Open() {
  const auto refused = [](const char* action, int error) {
    return Status(Code::kUnsupported, fmt::format("io_uring is not available: {}: {}", action, std::strerror(error)));
  };
  if (const int result = ::io_uring_queue_init(depth(), &ring_, 0); result < 0) return refused("setup", -result);
  open_ = true;
  ::io_uring_ring_dontfork(&ring_);
  // Some sandboxes allow the setup and refuse its use, and before Linux 5.6 there was no IORING_OP_READ. A
  // read from no file tells: where the operation exists it is the descriptor that is refused.
  ::io_uring_prep_read(::io_uring_get_sqe(&ring_), -1, nullptr, 0, 0);
  io_uring_cqe* completion = nullptr;
  int result = 0;
  while ((result = ::io_uring_submit_and_wait(&ring_, 1)) == -EINTR) {
  }
  if (result >= 0) result = ::io_uring_peek_cqe(&ring_, &completion);
  if (result < 0) return refused("first use", -result);
  if (completion->res != -EBADF) return refused("no IORING_OP_READ", completion->res < 0 ? -completion->res : EPROTO);
  ::io_uring_cqe_seen(&ring_, completion);
  // Reads that the kernel does on threads of its own (network file systems): those of a drive that hangs would keep all
  // of them, four for each processor. Older kernels refuse, and have as many as they have.
  unsigned workers[2] = {depth(), 0};
  ::io_uring_register_iowq_max_workers(&ring_, workers);
  return Status();
}

void UringReader::Start(std::span<const unsigned> slots) {
  for (const unsigned index : slots) Enqueue(index);
  Flush();
}

void UringReader::Enqueue(unsigned index) {
  if (broken_) return Finish(index, *broken_);
  io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_);
  if (entry == nullptr) {  // the queue has room for `depth` entries
    return Finish(index, Status(Code::kInternal, "the submission queue is full"));
  }
  const ReadProgress& progress = slot(index);
  ::io_uring_prep_read(entry, progress.request().file->fd(), progress.destination(), progress.length(),
                       progress.offset());
  ::io_uring_sqe_set_data64(entry, index);
  queued_.push_back(index);
}

// Hands the queue to the kernel; what it does not take stays queued for the next time.
void UringReader::Flush() {
  while (!queued_.empty()) {
    const int result = ::io_uring_submit(&ring_);
    if (result > 0) {
      const auto taken = queued_.begin() + std::min<ptrdiff_t>(result, static_cast<ptrdiff_t>(queued_.size()));
      for (auto index = queued_.begin(); index != taken; ++index) kernel_has_[*index] = true;
      in_kernel_ += static_cast<unsigned>(taken - queued_.begin());
      queued_.erase(queued_.begin(), taken);
      stalls_ = 0;
    } else if (result == -EAGAIN || result == -EBUSY || result == 0) {
      if (in_kernel_ > 0) return;  // a completion will make room
      if (++stalls_ > kMaxStalls) return GiveUp("submit", EAGAIN);
      ::usleep(kStallMicroseconds);
      return;
    } else if (result != -EINTR) {
      return GiveUp("submit", -result);
    }
  }
}

void UringReader::Reap(Patience patience) {
  const size_t before = finished();
  const uint64_t begun = Now();
  for (;;) {
    TakeCompletions();
    Flush();
    const Patience left = patience == kForEver ? patience : patience - Patience(Now() - begun);
    if (left <= kNoWait || finished() > before || (in_kernel_ == 0 && queued_.empty())) return;
    if (in_kernel_ == 0) continue;
    if (blind_) {
      ::usleep(kStallMicroseconds);
      continue;
    }
    io_uring_cqe* completion = nullptr;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    __kernel_timespec most{seconds.count(), (left - seconds).count()};
    const int result = patience == kForEver ? ::io_uring_wait_cqe(&ring_, &completion)
                                            : ::io_uring_wait_cqe_timeout(&ring_, &completion, &most);
    if (result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN) continue;
    blind_ = true;
    GiveUp("wait", -result);
  }
}

void UringReader::TakeCompletions() {
  io_uring_cqe* completion = nullptr;
  while (::io_uring_peek_cqe(&ring_, &completion) == 0 && completion != nullptr) {
    const auto index = static_cast<unsigned>(::io_uring_cqe_get_data64(completion));
    const int result = completion->res;
    ::io_uring_cqe_seen(&ring_, completion);
    if (index >= depth() || !kernel_has_[index]) continue;
    kernel_has_[index] = false;
    --in_kernel_;
    Complete(index, result);
  }
}

void UringReader::Complete(unsigned index, int result) {
  ReadProgress& progress = slot(index);
  if (!progress.Advance(result)) {
    if (stopping_) return Finish(index, Status(Code::kCancelled, "the reader was stopped"));
    return Enqueue(index);
  }
  const ReadRequest& request = progress.request();
  if (!request.file->direct()) request.file->DropCache(request.offset, request.length);
  Finish(index, progress.status());
}

// Only when the ring itself fails, for instance because the host closed its descriptor. What the kernel has already it
// still reads, into memory that nobody else may get before: its results come through the shared memory of the ring,
// which stays.
void UringReader::GiveUp(const char* action, int error) {
  broken_ = Status(Code::kIo, fmt::format("io_uring failed: cannot {}: {}", action, std::strerror(error)));
  for (const unsigned index : queued_) Finish(index, *broken_);
  queued_.clear();
}

}  // namespace

Result<std::unique_ptr<Reader>> MakeUringReader(unsigned depth) {
  auto reader = std::make_unique<UringReader>(depth);
  HEADRACE_RETURN_IF_ERROR(reader->Open());
  return std::unique_ptr<Reader>(std::move(reader));
}

}  // namespace headrace
