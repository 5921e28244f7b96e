// Prompts that outlive the server.
#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "serve_test.h"

namespace headrace::serve {
namespace {

namespace fs = std::filesystem;

class PromptCacheTest : public ServeTest {
 protected:
  void SetUp() override {
    ServeTest::SetUp();
    for (int i = 0; i < 30; ++i) book_ += "It is a truth universally acknowledged, that nobody was sorry for it. ";
    folder_ = tree_.Path("prompts");
  }
  bool Start(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"--models-dir", Models(), "--flash-mode", "on", "--weights-ram", "6M", "--kernels", "plain"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return StartServer(arguments);
  }
  bool StartKeeping() { return Start({"--prompt-cache-dir", folder_}); }
  Answer AskBook() { return Post("/completion", {{"model", kDense}, {"prompt", book_}, {"n_predict", 16}, {"temperature", 0}}); }
  std::vector<fs::path> Files() const {
    std::vector<fs::path> files;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder_, error)) files.push_back(entry.path());
    return files;
  }

  std::string folder_, book_;
};

TEST_F(PromptCacheTest, ARestartReadsALongPromptFromItsFile) {
  ASSERT_TRUE(StartKeeping());
  const Answer first = AskBook();
  ASSERT_EQ(first.status, 200) << first.text;
  const int whole = first.body["timings"]["prompt_n"];
  EXPECT_GT(whole, 300);
  EXPECT_TRUE(Files().empty());
  EXPECT_EQ(EndServer().status, 0);
  EXPECT_EQ(Files().size(), 1u);

  ASSERT_TRUE(StartKeeping());
  const Answer again = AskBook();
  EXPECT_GE(again.body["timings"].value("cache_n", 0), whole - 1) << again.text;
  EXPECT_EQ(again.body["content"], first.body["content"]);
  EXPECT_EQ(EndServer().status, 0);
  ASSERT_EQ(Files().size(), 1u);
  const fs::path kept = Files()[0];

  // Other options mean other states: theirs lie beside it.
  ASSERT_TRUE(Start({"--prompt-cache-dir", folder_, "--", "--cache-type-k", "q8_0"}));
  EXPECT_EQ(AskBook().body["timings"].value("cache_n", 0), 0);
  EXPECT_EQ(EndServer().status, 0);
  EXPECT_EQ(Files().size(), 2u);
  for (const fs::path& path : Files()) {
    if (path != kept) fs::remove(path);
  }
  ASSERT_TRUE(fs::exists(kept)) << "it was taken for states of another kind";

  // Damaged: as if there were none.
  std::fstream file(kept, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(100'000);
  file.write("\1\2\3\4\5\6\7", 7);
  file.close();
  ASSERT_TRUE(StartKeeping());
  const Answer anew = AskBook();
  EXPECT_EQ(anew.body["timings"].value("cache_n", 0), 0) << anew.text;
  EXPECT_EQ(anew.body["content"], first.body["content"]);
  EXPECT_TRUE(Files().empty());
  const auto outcome = EndServer();
  EXPECT_TRUE(Has(outcome.err, "is damaged: removed")) << outcome.err;
}

TEST_F(PromptCacheTest, AFullDiskLosesOnlyThePrompt) {
  fs::create_directories(folder_);
  if (mount("none", folder_.c_str(), "tmpfs", 0, "size=64k") != 0) GTEST_SKIP() << "may not mount a small file system";
  const std::unique_ptr<std::string, void (*)(std::string*)> mounted(&folder_, [](std::string* folder) { umount2(folder->c_str(), MNT_DETACH); });
  ASSERT_TRUE(StartKeeping());
  ASSERT_EQ(AskBook().status, 200);
  EXPECT_EQ(Post("/api/v1/models/unload", {{"model", kDense}}).status, 200);
  EXPECT_EQ(AskBook().status, 200);
  const auto outcome = EndServer();
  EXPECT_EQ(outcome.status, 0);
  EXPECT_TRUE(Has(outcome.err, "the prompt of slot")) << outcome.err;
  EXPECT_TRUE(Files().empty());
}

TEST_F(PromptCacheTest, IsBoundedAndNothingIsWrittenUnasked) {
  ASSERT_TRUE(Start({"--prompt-cache-dir", folder_, "--prompt-cache-max", "1000"}));
  ASSERT_EQ(AskBook().status, 200);
  EXPECT_EQ(Post("/api/v1/models/unload", {{"model", kDense}}).status, 200);
  EXPECT_TRUE(Files().empty()) << "a prompt is larger than 1000 bytes";
  EXPECT_EQ(EndServer().status, 0);
  const auto outcome = Run({"serve", "--models-dir", Models(), "--prompt-cache-max", "1G"});
  EXPECT_TRUE(Has(outcome.err, "--prompt-cache-max needs --prompt-cache-dir")) << outcome.err;
  ASSERT_TRUE(Start());
  EXPECT_GE(Post("/slots/0?action=save&model=" + std::string(kDense), {{"filename", "x"}}).status, 400);
}

}  // namespace
}  // namespace headrace::serve
