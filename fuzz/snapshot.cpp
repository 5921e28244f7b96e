// A snapshot of any process, as `headrace top` and the server show it: the input as the file, and as its content behind
// a right beginning.
#include "telemetry/snapshot.h"

#include <algorithm>
#include <cstring>

#include "fuzz.h"
#include "report/statistics.h"
#include "serve/api/flash_statistics.h"
#include "top/view.h"

using namespace headrace;

namespace {

void Try(std::string_view text) {
  const auto view = SnapshotView::Open(fuzz::WriteFile("headrace-1-snapshot", text));
  if (!view.ok()) return fuzz::RequireOneLine(view.status().message());
  top::Row row;
  row.process.statistics = cli::ReadStatistics(**view);
  row.rates = top::RatesOf({{0, {}}, {1, row.process.statistics}});
  row.verdict = top::Judge(row.process.statistics, row.rates, row.machine);
  const top::Picture picture{{row}, {}};
  (void)top::TableView(picture, 0, 80, 24);
  (void)top::DetailView(row, 0, 80, 40);
  (void)top::RenderText(picture);
  (void)top::RenderJson(picture, 0);
  (void)cli::SummaryLines(row.process.statistics);
  (void)cli::ProgressText(row.process.statistics);
  (void)serve::Dump(serve::FlashStatisticsJson(row.process.statistics));
  (void)serve::Dump(serve::FlashRatesJson({}, row.process.statistics, 1));
  (void)serve::RenderMetrics({{"model", true, 1, 1, 0, row.process.statistics}});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Try(fuzz::Text(data, size));
  Snapshot sound;
  sound.bytes = sizeof(Snapshot);
  std::string file(reinterpret_cast<const char*>(&sound), sizeof sound);
  constexpr size_t kFrame = offsetof(Snapshot, process_id);
  std::memcpy(file.data() + kFrame, data, std::min(size, sizeof sound - kFrame));
  Try(file);
  return 0;
}
