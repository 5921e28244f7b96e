// headrace-telemetry-cost: what it costs to keep the statistics that other processes read (telemetry/snapshot.h).
//
// Counts as the executor does after each product (Executor::Publish), into a mapped file: while nobody looks, and while
// a reader copies it a thousand times a second (a hundred times what `headrace top` does). Once for each pass the
// process's memory is read. With --pass-us and --products the cost is set against a pass of that length.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "memory/weights_allowance.h"
#include "telemetry/counter_growth.h"
#include "telemetry/snapshot.h"
#include "telemetry/snapshot_files.h"

namespace {

using namespace headrace;

uint64_t Now() { return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()); }

void Add(Snapshot::Counter& counter, uint64_t amount) { counter.fetch_add(amount, std::memory_order_relaxed); }

// As Executor::Publish: a clock reading that the product needs anyway is counted here too.
struct Product {
  CounterGrowth read, failed, retried;
  std::atomic<uint64_t> reader_bytes{0}, reader_failed{0}, reader_retried{0};
  uint64_t at = Now();

  void Publish(Snapshot& s) {
    const uint64_t now = Now();
    reader_bytes.fetch_add(4096, std::memory_order_relaxed);
    Add(s.pass_ns, now - at);
    Add(s.wait_ns, 1);
    Add(s.kernel_ns, 1);
    Add(s.own_ns, 1);
    at = now;
    Add(s.bytes_read, read.Advance(reader_bytes.load(std::memory_order_relaxed)));
    Add(s.reads_failed, failed.Advance(reader_failed.load(std::memory_order_relaxed)));
    Add(s.reads_retried, retried.Advance(reader_retried.load(std::memory_order_relaxed)));
  }
};

double NanosecondsEach(uint64_t count, const std::function<void()>& work) {
  const uint64_t start = Now();
  for (uint64_t i = 0; i < count; ++i) work();
  return static_cast<double>(Now() - start) / static_cast<double>(count);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures the cost of the library's statistics", "headrace-telemetry-cost");
  double seconds = 1, pass_us = 0;
  uint64_t products = 0;
  app.add_option("--seconds", seconds, "About how long each of the three measurements takes (default 1)")
      ->check(CLI::Range(0.01, 60.0));
  app.add_option("--pass-us", pass_us, "Length of a pass in microseconds, for a share of it");
  app.add_option("--products", products, "Products of a pass on managed weights (7 for each layer of a dense model)");
  CLI11_PARSE(app, argc, argv);

  const auto path = CreateSnapshotFile();
  if (!path.ok()) return fmt::print(stderr, "headrace-telemetry-cost: {}\n", path.status().message()), 1;
  SnapshotWriter writer;
  const Status mapped = writer.MapFile(*path);
  if (!mapped.ok()) return fmt::print(stderr, "headrace-telemetry-cost: {}\n", mapped.message()), 1;
  Product product;
  const auto publish = [&] { product.Publish(*writer); };
  const double rough = NanosecondsEach(100'000, publish);
  const auto count = static_cast<uint64_t>(seconds * 1e9 / std::max(rough, 1.0));
  const double alone = NanosecondsEach(count, publish);
  std::atomic<bool> done{false};
  std::atomic<uint64_t> looks{0};
  std::thread reader([&] {
    while (!done) {
      looks += SnapshotView::Open(*path).ok() ? 1 : 0;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  const double watched = NanosecondsEach(count, publish);
  done = true;
  reader.join();
  ::unlink(path->c_str());
  // Each pass reads the process's memory once more for the statistics.
  const WeightsAllowance allowance({.process_bytes = uint64_t{1} << 40}, {}, ReadTextFile);
  const double memory =
      NanosecondsEach(static_cast<uint64_t>(seconds * 1e5), [&] { writer->process_bytes = allowance.UsedBytes(); });

  nlohmann::json result = {
      {"product_ns", alone}, {"product_watched_ns", watched}, {"looks", looks.load()}, {"pass_ns", memory}};
  if (pass_us > 0) result["share_of_pass"] = (watched * static_cast<double>(products) + memory) / (1000 * pass_us);
  fmt::print("{}\n", result.dump());
  return 0;
}
