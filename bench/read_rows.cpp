// headrace-read-rows: how long rows of a table in a file take, page by page through a mapping as stock llama.cpp reads
// them, and many at a time as headrace does. Both with a cold page cache, the same rows, in turn.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/size.h"
#include "rows/row_memory.h"
#include "rows/row_reader.h"

namespace {

using namespace headrace;

struct Table {
  uint64_t offset, rows, row_bytes;
};

void Fail(const Status& status) {
  fmt::print(stderr, "headrace-read-rows: {}\n", status.message());
  std::exit(1);
}

// As the engine's threads do: each has a part of the rows, and touches their pages one after the other.
uint64_t ThroughMapping(int fd, uint64_t size, const Table& table, const std::vector<uint64_t>& rows, unsigned threads,
                        bool read_ahead) {
  auto* const data = static_cast<const char*>(::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0));
  if (data == MAP_FAILED) Fail(Status(Code::kIo, "cannot map the file"));
  if (!read_ahead) ::madvise(const_cast<char*>(data), size, MADV_RANDOM);
  const uint64_t start = Now();
  std::vector<std::thread> team;
  for (unsigned thread = 0; thread < threads; ++thread) {
    team.emplace_back([&, thread] {
      for (size_t i = rows.size() * thread / threads; i < rows.size() * (thread + 1) / threads; ++i) {
        const char* const row = data + table.offset + rows[i] * table.row_bytes;
        for (uint64_t at = 0; at < table.row_bytes; at += kReadAlignment)
          static_cast<void>(*const_cast<const volatile char*>(row + at));
        static_cast<void>(*const_cast<const volatile char*>(row + table.row_bytes - 1));
      }
    });
  }
  for (std::thread& thread : team) thread.join();
  const uint64_t took = Now() - start;
  ::munmap(const_cast<char*>(data), size);
  return took;
}

uint64_t ThroughReader(const SourceFile& file, const Table& table, const std::vector<uint64_t>& rows, unsigned depth) {
  ReadService reads([](unsigned most) { return MakeReader(ReaderKind::kAuto, most); });
  if (const Status started = reads.Start(); !started.ok()) Fail(started);
  const uint64_t buffer_bytes = std::max<uint64_t>(32 * kKiB, RowSpanBytes(table.row_bytes));
  auto buffers = Region::Reserve(depth * buffer_bytes);
  if (!buffers.ok()) Fail(buffers.status());
  if (const Status committed = buffers->Commit(0, depth * buffer_bytes); !committed.ok()) Fail(committed);
  RowReader row_reader(reads, std::move(*buffers), buffer_bytes);
  std::vector<std::byte> memory(rows.size() * table.row_bytes);
  const uint64_t start = Now();
  std::vector<WantedRow> wanted;
  for (size_t i = 0; i < rows.size(); ++i)
    wanted.push_back({table.offset + rows[i] * table.row_bytes, memory.data() + i * table.row_bytes});
  row_reader.Begin(file, table.row_bytes, std::move(wanted));
  if (const Status read = row_reader.Wait(); !read.ok()) Fail(read);
  return Now() - start;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Reads random rows of a table in a file, through a mapping and through headrace's reader, in turn; milliseconds "
      "of each.\n"};
  std::string path;
  Table table{0, 0, 9520};
  uint64_t count = 2048;
  unsigned repetitions = 3, threads = 2;
  bool read_ahead = false;
  app.add_option("FILE", path, "any file of gigabytes")->required();
  app.add_option("--row-bytes", table.row_bytes, "of a row")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--rows", count, "that are read, as for a prompt of so many tokens")->capture_default_str();
  app.add_option("--threads", threads, "that touch the mapping")->capture_default_str()->check(CLI::Range(1, 256));
  app.add_option("--repetitions", repetitions)->capture_default_str();
  app.add_flag("--read-ahead", read_ahead,
               "the kernel may read ahead in the mapping, as in stock llama.cpp without lazy reading");
  CLI11_PARSE(app, argc, argv);

  const auto file = SourceFile::Open(path);
  if (!file.ok()) Fail(file.status());
  const Descriptor plain(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  table.offset = kReadAlignment + 100;  // in the middle of a page, as tables are
  table.rows = (file->size() - table.offset) / table.row_bytes;
  if (table.rows == 0) Fail(Status(Code::kInvalidArgument, "the file is smaller than a row"));
  fmt::print("way,depth,rows,row_bytes,ms\n");
  std::mt19937_64 random(1);
  for (unsigned repetition = 0; repetition < repetitions; ++repetition) {
    std::vector<uint64_t> rows(count);
    for (uint64_t& row : rows) row = random() % table.rows;
    const auto report = [&](const char* way, unsigned depth, uint64_t ns) {
      fmt::print("{},{},{},{},{:.1f}\n", way, depth, count, table.row_bytes, static_cast<double>(ns) / 1e6);
      std::fflush(stdout);
    };
    ::posix_fadvise(plain.get(), 0, 0, POSIX_FADV_DONTNEED);
    report(read_ahead ? "mapping with read-ahead" : "mapping", threads,
           ThroughMapping(plain.get(), file->size(), table, rows, threads, read_ahead));
    ::posix_fadvise(plain.get(), 0, 0, POSIX_FADV_DONTNEED);
    for (const unsigned depth : {1u, 4u, 16u, 32u, 64u})
      report("reader", depth, ThroughReader(*file, table, rows, depth));
  }
  return 0;
}
