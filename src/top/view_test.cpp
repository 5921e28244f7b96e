#include "top/view.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/size.h"
#include "report/text_table.h"

namespace headrace::top {
namespace {

Row MakeRow(pid_t pid) {
  Row row;
  row.process.pid = pid;
  row.process.program = "llama-server";
  row.process.statistics.model = "a-model-with-a-rather-long-name-q4_k_m.gguf";
  row.process.statistics.weight_bytes = 8 * kGiB;
  row.process.statistics.process_limit_bytes = 5 * kGiB;
  row.process.statistics.process_bytes = 4 * kGiB;
  row.process.statistics.reads_retried = 3;
  row.rates.tokens_per_s = 1.94;
  row.rates.wait_share = 0.62;
  row.machine.disk_bytes_per_s = 2.4e9;
  row.verdict = {Limit::kDisk,
                 "4.00 GiB more memory, which is free: 1.7 times as fast; a second half of the line that is long"};
  return row;
}

Picture Many(int count) {
  Picture picture;
  for (int i = 0; i < count; ++i) picture.rows.push_back(MakeRow(1000 + i));
  return picture;
}

std::string Joined(const View& view) {
  std::string text;
  for (const std::string& line : view.lines) text += line + "\n";
  return text;
}

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(TableView, FitsEverySize) {
  for (const int processes : {0, 1, 3, 40}) {
    Picture picture = Many(processes);
    picture.notes = {"ignored: something", "ignored: something else"};
    for (size_t width = 1; width < 200; width += 7) {
      for (size_t height = 0; height < 30; ++height) {
        const size_t selected = processes == 0 ? 0 : static_cast<size_t>(processes - 1);
        for (const View& view : {TableView(picture, selected, width, height),
                                 processes == 0 ? View() : DetailView(picture.rows[selected], 50, width, height)}) {
          ASSERT_LE(view.lines.size(), height);
          ASSERT_LT(view.selected, static_cast<int>(view.lines.size()));
          for (const std::string& line : view.lines) ASSERT_LE(cli::DisplayWidth(line), width) << line;
        }
      }
    }
  }
}

TEST(TableView, ASmallScreenKeepsWhatMatters) {
  const View view = TableView(Many(30), 29, 40, 10);
  const std::string text = Joined(view);
  ASSERT_GE(view.selected, 0) << text;
  const std::string& row = view.lines[static_cast<size_t>(view.selected)];
  for (const char* part : {"1029", "a-model", "disk-bound", "1.94"}) EXPECT_TRUE(Has(row, part)) << text;
  EXPECT_TRUE(Has(text, "more memory")) << text;
  EXPECT_TRUE(Has(view.lines.back(), "q quit")) << text;
}

TEST(TableView, AWideScreenHasAllColumns) {
  const std::string text = Joined(TableView(Many(1), 0, 250, 24));
  for (const char* part : {"a-model-with-a-rather-long-name-q4_k_m.gguf", "0.00/2.40", "62/0/0", "4.00 GiB/5.00 GiB",
                           "0/3", "llama-server"}) {
    EXPECT_TRUE(Has(text, part)) << part << "\n" << text;
  }
}

TEST(TableView, NothingToShowSaysWhatToDo) { EXPECT_TRUE(Has(Joined(TableView({}, 0, 120, 24)), "headrace run")); }

TEST(DetailView, ScrollsToItsEnd) {
  Row row = MakeRow(7);
  row.process.statistics.last_error = "read of model.gguf failed";
  EXPECT_TRUE(Has(Joined(DetailView(row, 0, 120, 40)), "the first: read of model.gguf failed"));
  EXPECT_FALSE(Has(Joined(DetailView(row, 0, 120, 6)), "model.gguf failed"));
  EXPECT_TRUE(Has(Joined(DetailView(row, 99, 120, 6)), "model.gguf failed"));
}

TEST(DetailView, SaysWhatIsCopiedToDevices) {
  Row row = MakeRow(7);
  EXPECT_FALSE(Has(Joined(DetailView(row, 0, 120, 40)), "to devices")) << "there is none";
  row.process.statistics.uploaded_bytes = 3 * kGiB;
  row.process.statistics.uploaded_from_memory_bytes = kGiB;
  row.rates.upload_bytes_per_s = 5e9;
  EXPECT_TRUE(Has(Joined(DetailView(row, 0, 120, 40)),
                  "5.00 GB/s now; 3.00 GiB copied since the start, 1.00 GiB of it from memory"));
}

TEST(RenderText, HasRowsAdviceAndNotes) {
  Picture picture = Many(2);
  picture.notes = {"ignored: x"};
  picture.rows[1].process.statistics.last_error = "the disk failed";
  const std::string text = RenderText(picture);
  for (const char* part : {"PID", "1000", "1001 llama-server: disk-bound; 4.00 GiB more memory",
                           "1001 error: the disk failed", "\nignored: x\n"}) {
    EXPECT_TRUE(Has(text, part)) << part << "\n" << text;
  }
}

TEST(RenderJson, IsOneLineAndUnknownIsNull) {
  Picture picture = Many(1);
  picture.rows[0].process.program = "bad \xff bytes";
  picture.rows[0].rates.tokens_per_s.reset();
  picture.rows[0].process.statistics.uploaded_bytes = 9;
  picture.rows[0].process.statistics.uploaded_from_memory_bytes = 4;
  const std::string text = RenderJson(picture, 12);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  const auto json = nlohmann::json::parse(text, nullptr, false);
  ASSERT_TRUE(json.is_object()) << text;
  EXPECT_EQ(json["time"], 12);
  const auto& process = json["processes"].at(0);
  EXPECT_EQ(process["pid"], 1000);
  EXPECT_EQ(process["verdict"], "disk-bound");
  EXPECT_TRUE(process["tokens_per_s"].is_null());
  EXPECT_TRUE(process["last_error"].is_null());
  EXPECT_EQ(process["uploaded_bytes"], 9);
  EXPECT_EQ(process["uploaded_from_memory_bytes"], 4);
  EXPECT_EQ(process["process_limit_bytes"], 5 * kGiB);
}

TEST(Printable, LeavesNoControlCharacters) { EXPECT_EQ(Printable("a\x1b[2J\n\x7f\u00e9"), "a?[2J??\u00e9"); }

}  // namespace
}  // namespace headrace::top
