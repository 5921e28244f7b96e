// The one thread that reads model files, and its queue to the disk, for all that a process streams. What is read next
// is decided at the last moment: whenever the disk takes another read the service asks its clients, for the most urgent
// kind of read first.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "io/reader.h"

namespace headrace {

// The most urgent first.
enum class ReadKind : uint8_t {
  kDemand,     // somebody waits for it
  kOrder,      // will be needed, in this order
  kForesight,  // may be needed
};
inline constexpr size_t kReadKinds = 3;

// Decides what is read. The service's thread calls it, and nothing that the service holds is needed to answer: a client
// has a mutex of its own, which its users may hold while they call Wake, but not while they call Attach or Detach.
class ReadClient {
 public:
  virtual ~ReadClient() = default;
  // The next read of that kind, whose destination stays the kernel's until the read has ended. False: there is none
  // now.
  virtual bool NextRead(ReadKind kind, ReadRequest& request) = 0;
  // These have ended, in any order, each once. Another look at what is to be read follows.
  virtual void ReadsEnded(std::span<const ReadResult> results) = 0;
};

// Thread-safe.
class ReadService {
 public:
  // For each drive, the most reads in flight of each kind and those that are more urgent: beside what somebody waits
  // for little else is begun. (Eight reads of half a megabyte or more reach the speed of the disk; a demand may be for
  // many single pages.)
  static constexpr std::array<unsigned, kReadKinds> kMostInFlight = {64, 8, 2};

  using OpenReader = std::function<Result<std::unique_ptr<Reader>>(unsigned depth)>;
  // `most_drives` is what the reader's drives() may come to.
  // When no read has ended for `say_after`, a line says what is waited for; another one when it goes on.
  explicit ReadService(OpenReader open, unsigned most_drives = 1,
                       std::chrono::nanoseconds say_after = std::chrono::seconds(15))
      : open_(std::move(open)), most_drives_(most_drives), say_after_(say_after) {}
  // No client is attached any more.
  ~ReadService() { Stop(); }
  ReadService(const ReadService&) = delete;
  ReadService& operator=(const ReadService&) = delete;

  // Starts the thread, unless it runs. Errors: the reader's, kIo.
  Status Start();
  // Ends the thread until the next Start. No client is attached.
  void Stop();

  // From now on the client is asked what to read.
  void Attach(ReadClient& client);
  // Returns when none of its reads is in flight; the client is called no more.
  void Detach(ReadClient& client);
  // A client that had nothing to read has something now.
  void Wake();

  // Since the first Start.
  uint64_t bytes_read() const { return bytes_read_.load(std::memory_order_relaxed); }
  uint64_t reads_failed() const { return reads_failed_.load(std::memory_order_relaxed); }
  uint64_t reads_retried() const { return reads_retried_.load(std::memory_order_relaxed); }

 private:
  struct Attached {
    ReadClient* client = nullptr;
    unsigned in_flight = 0;
    bool leaving = false;
    std::vector<ReadResult> ended;  // scratch
  };
  // Its index is the tag that the reader gets.
  struct Flight {
    Attached* owner = nullptr;  // null: there is none
    ReadKind kind = ReadKind::kDemand;
    uint64_t tag = 0;  // the client's
    uint32_t bytes = 0;
    uint64_t offset = 0;
    const SourceFile* file = nullptr;
  };
  // The drive's silence.
  struct Silence {
    uint64_t since_ns = 0, looked_ns = 0;
    std::string said_of;  // the file; empty: nothing was said
  };

  void Run();
  void TellSilence(bool any_ended, Silence& silence);
  void Ask(std::vector<ReadRequest>& requests);          // needs mutex_
  void Deliver(const std::vector<ReadResult>& results);  // needs mutex_

  const OpenReader open_;
  const unsigned most_drives_;
  const std::chrono::nanoseconds say_after_;
  std::atomic<uint64_t> bytes_read_{0}, reads_failed_{0}, reads_retried_{0};

  std::mutex mutex_;                // held while clients are called; guards all below
  std::condition_variable landed_;  // reads of a client that leaves have ended
  std::vector<std::unique_ptr<Attached>> clients_;
  std::vector<Flight> flights_;
  std::array<unsigned, kReadKinds> in_flight_{};  // of each kind

  std::mutex wake_mutex_;  // the last to be taken; guards the two below
  std::condition_variable wake_;
  bool woken_ = false;
  bool stop_ = false;

  std::unique_ptr<Reader> reader_;  // the thread's own while it runs
  uint64_t retried_before_ = 0;     // by readers that are gone
  std::thread thread_;
};

}  // namespace headrace
