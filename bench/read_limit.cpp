// headrace-read-limit: the fastest that a file's bytes can be read past the page cache, with nothing else to do.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/size.h"
#include "raw_read.h"

namespace {

using namespace headrace;
using namespace headrace::bench;

int Fail(const Status& status) {
  fmt::print(stderr, "headrace-read-limit: {}\n", status.message());
  return status.code() == Code::kInvalidArgument ? 2 : 1;
}

// Lines "OFFSET LENGTH" in bytes; empty lines and lines that start with # are skipped.
Result<std::vector<ByteRange>> ReadRanges(const std::string& path) {
  std::ifstream in(path);
  if (!in) return Status(Code::kNotFound, "cannot open the list of ranges " + path);
  std::vector<ByteRange> ranges;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    ByteRange range;
    if (!(words >> range.offset >> range.length)) {
      return Status(Code::kInvalidArgument,
                    fmt::format("{}:{}: write OFFSET LENGTH in bytes, not '{}'", path, number, line));
    }
    ranges.push_back(range);
  }
  return ranges;
}

nlohmann::json ToJson(const ReadRate& rate) {
  return {{"chunk_bytes", rate.shape.chunk_bytes},
          {"depth", rate.shape.depth},
          {"bytes", rate.bytes},
          {"seconds", rate.seconds},
          {"retries", rate.retries},
          {"bytes_per_s", rate.bytes_per_s()}};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Measures the read limit of a file: O_DIRECT at the best chunk size and queue depth, nothing else.\n"};
  app.footer(
      "Examples:\n"
      "  headrace-read-limit model.gguf\n"
      "  headrace-read-limit --ranges streamed.txt --seconds 10 --json model.gguf\n"
      "  headrace-read-limit --chunk 1M --depth 16 model.gguf");
  std::string path, ranges_path, chunk, reader = "auto";
  unsigned depth = 0;
  double seconds = 5, sweep_seconds = 0.25;
  bool json = false;
  app.add_option("FILE", path, "the file to read")->required();
  app.add_option("--ranges", ranges_path, "file with lines OFFSET LENGTH: read only these, in this order");
  app.add_option("--chunk", chunk, "bytes of one read, for instance 1M (default: swept)");
  app.add_option("--depth", depth, "reads in flight (default: swept)")->check(CLI::Range(1, 1024));
  app.add_option("--seconds", seconds, "to measure the best shape for")
      ->check(CLI::Range(0.01, 3600.0))
      ->capture_default_str();
  app.add_option("--sweep-seconds", sweep_seconds, "for each shape of the sweep")
      ->check(CLI::Range(0.01, 60.0))
      ->capture_default_str();
  app.add_option("--reader", reader, "auto, uring, pread; buffered is pread through the page cache")
      ->check(CLI::IsMember({"auto", "uring", "pread", "buffered"}))
      ->capture_default_str();
  app.add_flag("--json", json, "one JSON object instead of text");
  CLI11_PARSE(app, argc, argv);

  const auto file =
      SourceFile::Open(path, reader == "buffered" ? SourceFile::Access::kBuffered : SourceFile::Access::kDirect);
  if (!file.ok()) return Fail(file.status());
  if (file->size() == 0) return Fail(Status(Code::kInvalidArgument, path + " is empty: nothing to read"));
  std::vector<ByteRange> ranges = {{0, file->size()}};
  if (!ranges_path.empty()) {
    auto listed = ReadRanges(ranges_path);
    if (!listed.ok()) return Fail(listed.status());
    ranges = *std::move(listed);
  }
  const ReaderKind kind = reader == "uring"  ? ReaderKind::kUring
                          : reader == "auto" ? ReaderKind::kAuto
                                             : ReaderKind::kPread;
  auto raw = RawReader::Make(*file, std::move(ranges), kind);
  if (!raw.ok()) return Fail(raw.status());

  std::vector<ReadShape> shapes = SweptShapes();
  if (!chunk.empty()) {
    const auto bytes = ParseSize(chunk);
    if (!bytes.ok()) return Fail(bytes.status());
    if (*bytes == 0 || *bytes % kReadAlignment != 0 || *bytes > kGiB) {
      return Fail(Status(Code::kInvalidArgument,
                         fmt::format("--chunk {}: write a multiple of {} up to 1G", chunk, kReadAlignment)));
    }
    for (ReadShape& shape : shapes) shape.chunk_bytes = static_cast<uint32_t>(*bytes);
  }
  if (depth > 0) {
    for (ReadShape& shape : shapes) shape.depth = depth;
  }
  nlohmann::json swept = nlohmann::json::array();
  const auto best = Sweep(*raw, std::move(shapes), sweep_seconds, [&](const ReadRate& rate) {
    swept.push_back(ToJson(rate));
    if (!json)
      fmt::print("{:>8} x {:<3} {:7.2f} GB/s\n", FormatSize(rate.shape.chunk_bytes), rate.shape.depth,
                 rate.bytes_per_s() / 1e9);
  });
  if (!best.ok()) return Fail(best.status());
  const auto limit = raw->Run(*best, seconds);
  if (!limit.ok()) return Fail(limit.status());
  if (json) {
    nlohmann::json out = ToJson(*limit);
    out["direct"] = file->direct();
    out["bytes_per_round"] = raw->bytes_per_round();
    out["sweep"] = std::move(swept);
    fmt::print("{}\n", out.dump());
  } else {
    fmt::print("limit: {:.3f} GB/s, {} x {} in flight, {} in {:.2f} s{}\n", limit->bytes_per_s() / 1e9,
               FormatSize(best->chunk_bytes), best->depth, FormatSize(limit->bytes), limit->seconds,
               file->direct() ? "" : ", through the page cache (no O_DIRECT)");
  }
  return 0;
}
