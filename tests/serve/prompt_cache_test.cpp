// Prompts that outlive the server.
#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "gguf/gguf_builder.h"
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
    std::vector<std::string> arguments = {"--models-dir",  Models(), "--flash-mode", "on",
                                          "--weights-ram", "6M",     "--kernels",    "plain"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return StartServer(arguments);
  }
  bool StartKeeping() { return Start({"--prompt-cache-dir", folder_}); }
  Answer AskBook() {
    return Post("/completion", {{"model", kDense}, {"prompt", book_}, {"n_predict", 16}, {"temperature", 0}});
  }
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
  if (mount("none", folder_.c_str(), "tmpfs", 0, "size=64k,mode=700") != 0)
    GTEST_SKIP() << "may not mount a small file system";
  const std::unique_ptr<std::string, void (*)(std::string*)> mounted(
      &folder_, [](std::string* folder) { umount2(folder->c_str(), MNT_DETACH); });
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

// A LoRA adapter of two layers' queries, of numbers that depend on `seed`.
void WriteAdapter(const std::string& path, uint32_t seed) {
  constexpr uint64_t kWidth = 512, kRank = 4;
  GgufBuilder builder;
  builder.Text("general.architecture", "llama")
      .Text("general.type", "adapter")
      .Text("adapter.type", "lora")
      .F32("adapter.lora.alpha", 64);
  for (const char* layer : {"blk.0.", "blk.1."}) {
    builder.Tensor(std::string(layer) + "attn_q.weight.lora_a", kGgmlF32, {kWidth, kRank});
    builder.Tensor(std::string(layer) + "attn_q.weight.lora_b", kGgmlF32, {kRank, kWidth});
  }
  ASSERT_TRUE(builder.Write(path));
  std::vector<float> numbers((builder.FileBytes() - builder.DataOffset()) / sizeof(float));
  for (float& number : numbers) {
    seed = seed * 1664525 + 1013904223;
    number = static_cast<float>(seed >> 8) / static_cast<float>(1 << 25) - 0.25f;
  }
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(builder.DataOffset()));
  file.write(reinterpret_cast<const char*>(numbers.data()),
             static_cast<std::streamsize>(numbers.size() * sizeof(float)));
}

TEST_F(PromptCacheTest, WhatAnotherAdapterShapedIsNotUsed) {
  const std::string adapter = tree_.File("tuned, twice.gguf");
  const auto start = [&](const std::string& folder, const std::string& scale) {
    return Start({"--prompt-cache-dir", folder, "--", "--lora-scaled", "\"" + adapter + ":" + scale + "\""});
  };
  const auto ask = [&] {
    const Answer answer = AskBook();
    EXPECT_EQ(answer.status, 200) << answer.text;
    EXPECT_EQ(EndServer().status, 0);
    return answer;
  };
  // The texts without any file.
  std::vector<std::string> texts;
  for (const uint32_t seed : {1, 2}) {
    WriteAdapter(adapter, seed);
    ASSERT_TRUE(start(tree_.Path("other" + std::to_string(seed)), "1"));
    texts.push_back(ask().body["content"]);
  }
  ASSERT_NE(texts[0], texts[1]);
  WriteAdapter(adapter, 1);
  ASSERT_TRUE(start(folder_, "1"));
  EXPECT_EQ(ask().body["content"], texts[0]);
  EXPECT_EQ(Files().size(), 1u);
  ASSERT_TRUE(start(folder_, "1"));
  const Answer same = ask();
  // The last token of a prompt that was kept is computed alone: where two words are about equally likely the rest can
  // part.
  EXPECT_EQ(same.body["content"].get<std::string>().substr(0, 16), texts[0].substr(0, 16));
  WriteAdapter(adapter, 2);
  ASSERT_TRUE(start(folder_, "1"));
  const Answer other = ask();
  EXPECT_EQ(other.body["timings"].value("cache_n", 0), 0) << other.text;
  EXPECT_EQ(other.body["content"], texts[1]);
  WriteAdapter(adapter, 1);
  ASSERT_TRUE(start(folder_, "0.5"));
  EXPECT_EQ(ask().body["timings"].value("cache_n", 0), 0) << "another scale";
}

TEST_F(PromptCacheTest, WhatARequestsOwnScaleShapedIsNotKept) {
  const std::string adapter = tree_.File("tuned.gguf");
  WriteAdapter(adapter, 1);
  ASSERT_TRUE(Start({"--prompt-cache-dir", folder_, "--", "--lora", adapter}));
  ASSERT_EQ(Post("/completion",
                 {{"model", kDense}, {"prompt", book_}, {"n_predict", 4}, {"lora", {{{"id", 0}, {"scale", 0.25}}}}})
                .status,
            200);
  EXPECT_EQ(EndServer().status, 0);
  EXPECT_TRUE(Files().empty());
  // Nor what was computed after all of them got other scales.
  ASSERT_TRUE(Start({"--prompt-cache-dir", folder_, "--", "--lora", adapter}));
  ASSERT_EQ(Load({{"model", kDense}}).status, 200);
  ASSERT_EQ(Post("/lora-adapters?model=" + std::string(kDense), Json::array({{{"id", 0}, {"scale", 0.25}}})).status,
            200);
  ASSERT_EQ(AskBook().status, 200);
  EXPECT_EQ(EndServer().status, 0);
  EXPECT_TRUE(Files().empty());
}

TEST_F(PromptCacheTest, AnotherFileOfTheSameNameIsAnotherModel) {
  tree_.File("lib/placeholder");
  const std::string path = tree_.Path(std::string("lib/") + kDense + ".gguf");
  fs::copy_file(CommandTest::Model(), path);
  const auto start = [&] {
    return StartServer({"--models-dir", tree_.Path("lib"), "--flash-mode", "on", "--weights-ram", "6M",
                        "--prompt-cache-dir", folder_});
  };
  ASSERT_TRUE(start());
  ASSERT_EQ(AskBook().status, 200);
  EndServer();
  EXPECT_EQ(Files().size(), 1u);
  // One byte in the middle, of the same length and time.
  const auto time = fs::last_write_time(path);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(fs::file_size(path) / 2 + 12345));
  file.put('\x11');
  file.close();
  fs::last_write_time(path, time);
  ASSERT_TRUE(start());
  EXPECT_EQ(AskBook().body["timings"].value("cache_n", 0), 0);
}

TEST_F(PromptCacheTest, NobodyElseMayReadOrReplaceThem) {
  ASSERT_TRUE(StartKeeping());
  ASSERT_EQ(AskBook().status, 200);
  const auto children = Children();
  ASSERT_EQ(children.size(), 1u);
  std::ifstream status("/proc/" + std::to_string(children.front()) + "/status");
  const std::string text{std::istreambuf_iterator<char>(status), {}};
  EXPECT_TRUE(Has(text, "Umask:\t0077")) << "its files are this user's from their first byte on: " << text;
  EXPECT_EQ(EndServer().status, 0);
  ASSERT_EQ(Files().size(), 1u);
  EXPECT_EQ(fs::status(Files()[0]).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(fs::status(folder_).permissions(), fs::perms::owner_all);
  fs::permissions(folder_, fs::perms::all);
  const auto refused = Run({"serve", "--models-dir", Models(), "--prompt-cache-dir", folder_});
  EXPECT_EQ(refused.status, 2) << refused.err;
  EXPECT_TRUE(Has(refused.err, "others may write there")) << refused.err;
}

}  // namespace
}  // namespace headrace::serve
