#include "io/read_service.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/read_thread.h"

namespace headrace {
namespace {

constexpr std::chrono::nanoseconds kPeriod = std::chrono::seconds(1);  // of looks at a drive that does not answer

}  // namespace

Status ReadService::Start() {
  if (thread_.joinable()) return {};
  // So many when a foresight begins first, then what comes in order, then a demand.
  unsigned depth = 0;
  for (const unsigned most : kMostInFlight) depth += most * most_drives_;
  auto reader = open_(depth);
  if (!reader.ok()) return reader.status();
  reader_ = std::move(*reader);
  flights_.assign(reader_->depth(), {});
  stop_ = false;
  retried_before_ = reads_retried();
  auto thread = StartReadThread("headrace-read", [this] { Run(); });
  if (!thread.ok()) return thread.status();
  thread_ = std::move(*thread);
  return {};
}

void ReadService::Stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(wake_mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
  reader_.reset();
}

void ReadService::Attach(ReadClient& client) {
  {
    const std::lock_guard lock(mutex_);
    clients_.push_back(std::make_unique<Attached>());
    clients_.back()->client = &client;
  }
  Wake();
}

void ReadService::Detach(ReadClient& client) {
  std::unique_lock lock(mutex_);
  const auto attached =
      std::find_if(clients_.begin(), clients_.end(), [&](const auto& each) { return each->client == &client; });
  if (attached == clients_.end()) return;
  Attached* const leaving = attached->get();
  leaving->leaving = true;
  landed_.wait(lock, [&] { return leaving->in_flight == 0; });
  std::erase_if(clients_, [&](const auto& each) { return each.get() == leaving; });
}

void ReadService::Wake() {
  {
    const std::lock_guard lock(wake_mutex_);
    woken_ = true;
  }
  wake_.notify_one();
}

void ReadService::Run() {
  std::vector<ReadRequest> requests;
  std::vector<ReadResult> results;
  Silence silence;
  while (true) {
    {
      const std::lock_guard lock(wake_mutex_);
      woken_ = false;
    }
    requests.clear();
    {
      const std::lock_guard lock(mutex_);
      Ask(requests);
    }
    if (requests.empty() && reader_->in_flight() == 0) {
      std::unique_lock lock(wake_mutex_);
      if (stop_) return;
      wake_.wait(lock, [this] { return woken_ || stop_; });
      silence.since_ns = Now();
      continue;
    }
    if (!requests.empty()) reader_->Submit(requests);
    results.clear();
    reader_->CollectFor(std::min(kPeriod, say_after_), results);
    TellSilence(!results.empty(), silence);
    reads_retried_.store(retried_before_ + reader_->retries(), std::memory_order_relaxed);
    const std::lock_guard lock(mutex_);
    Deliver(results);
  }
}

void ReadService::TellSilence(bool any_ended, Silence& silence) {
  const uint64_t now = Now();
  const uint64_t silent_ns = now - silence.since_ns, silent_s = silent_ns / 1'000'000'000;
  // A process that was stopped has not looked.
  const bool was_stopped = now - std::exchange(silence.looked_ns, now) > 2 * static_cast<uint64_t>(kPeriod.count());
  if (any_ended || was_stopped) {
    if (any_ended && !silence.said_of.empty()) {
      LogWarning(fmt::format("{}: its drive answers again, after {} s", silence.said_of, silent_s));
      silence.said_of.clear();
    }
    silence.since_ns = now;
    return;
  }
  if (silent_ns < static_cast<uint64_t>(say_after_.count()) || !silence.said_of.empty()) return;
  const std::lock_guard lock(mutex_);
  const auto flight =
      std::find_if(flights_.begin(), flights_.end(), [](const Flight& f) { return f.owner != nullptr; });
  if (flight == flights_.end()) return;
  silence.said_of = flight->file->path();
  LogWarning(fmt::format("{}: its drive has not answered for {} s (a read of {} bytes at {}); headrace waits for it",
                         silence.said_of, silent_s, flight->bytes, flight->offset));
}

void ReadService::Ask(std::vector<ReadRequest>& requests) {
  const unsigned drives = std::min(reader_->drives(), most_drives_);
  unsigned flying = 0;  // of this kind and those before it
  for (size_t kind = 0; kind < kReadKinds; ++kind) {
    flying += in_flight_[kind];
    for (const auto& attached : clients_) {
      ReadRequest request;
      while (!attached->leaving && flying < kMostInFlight[kind] * drives &&
             attached->client->NextRead(static_cast<ReadKind>(kind), request)) {
        const auto flight =
            std::find_if(flights_.begin(), flights_.end(), [](const Flight& f) { return f.owner == nullptr; });
        *flight = {attached.get(), static_cast<ReadKind>(kind), request.tag, request.length, request.offset,
                   request.file};
        request.tag = static_cast<uint64_t>(flight - flights_.begin());
        requests.push_back(request);
        ++attached->in_flight;
        ++in_flight_[kind];
        ++flying;
      }
    }
  }
}

void ReadService::Deliver(const std::vector<ReadResult>& results) {
  for (const ReadResult& result : results) {
    Flight& flight = flights_[result.tag];
    --in_flight_[static_cast<size_t>(flight.kind)];
    if (result.status.ok()) {
      bytes_read_.fetch_add(flight.bytes, std::memory_order_relaxed);
    } else {
      reads_failed_.fetch_add(1, std::memory_order_relaxed);
    }
    flight.owner->ended.push_back({flight.tag, result.status});
    flight.owner = nullptr;
  }
  for (const auto& attached : clients_) {
    if (attached->ended.empty()) continue;
    attached->client->ReadsEnded(attached->ended);
    attached->in_flight -= static_cast<unsigned>(attached->ended.size());
    attached->ended.clear();
    if (attached->leaving && attached->in_flight == 0) landed_.notify_all();
  }
}

}  // namespace headrace
