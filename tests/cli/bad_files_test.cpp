// Files that are no models: an error at once, whichever command and wherever the file is named. Nothing waits for a
// pipe.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "command_runner.h"

namespace headrace::cli {
namespace {

class BadFiles : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    if (Run({"engine"}).status != 0) GTEST_SKIP() << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
    namespace fs = std::filesystem;
    ASSERT_EQ(mkfifo(tree_.Path("pipe.gguf").c_str(), 0600), 0);
    fs::create_directory(tree_.Path("folder.gguf"));
    tree_.File("empty.gguf");
    fs::create_symlink("nowhere.gguf", tree_.Path("dangling.gguf"));
    fs::create_symlink("loop.gguf", tree_.Path("loop.gguf"));
    for (const uint64_t bytes : {4, 3000, 5'000'000}) {
      const std::string path = tree_.Path("cut-" + std::to_string(bytes) + ".gguf");
      fs::copy_file(Model(), path);
      fs::permissions(path, fs::perms(0600));
      fs::resize_file(path, bytes);
    }
    for (const char* name : {"pipe", "folder", "empty", "dangling", "loop", "cut-4", "cut-3000", "cut-5000000"})
      files_.push_back(tree_.Path(std::string(name) + ".gguf"));
    for (const char* path : {"/dev/null", "/dev/zero", "/proc/self/mem"}) files_.emplace_back(path);
  }
  std::vector<std::string> files_;
};

TEST_F(BadFiles, AsTheModel) {
  const std::string requests = tree_.File(
      "q.jsonl", R"({"custom_id":"r","method":"POST","url":"/v1/completions","body":{"prompt":"It is","max_tokens":4}})"
                 "\n");
  for (const std::string& file : files_) {
    ExpectError({"run", file, "-p", "hi", "-n", "2"}, 2, file);
    ExpectError({"run", file, "-p", "hi", "-n", "2", "--flash-mode", "off"}, 2, file);
    ExpectError({"plan", file}, 2, file);
    ExpectError({"bench", file}, 2, file);
    ExpectError({"batch", file, requests, "-o", tree_.Path("o.jsonl")}, 2, file);
    ExpectError({"serve", file, "--port", "0"}, 2, file);
    ExpectError({"exec", "--", "llama-completion", "-m", file, "-p", "hi"}, 2, file);
  }
}

TEST_F(BadFiles, BesideTheModel) {
  for (const std::string& file : files_) {
    ExpectError({"run", Model(), "-p", "hi", "--draft", file}, 2, file);
    ExpectError({"plan", Model(), "--draft", file}, 2, file);
    for (const char* option : {"-md", "--lora", "--control-vector"}) {
      ExpectError({"plan", Model(), "--", option, file}, 2, std::string(option) + ": " + file);
      ExpectError({"run", Model(), "-p", "hi", "--", option, file}, 2, std::string(option) + ": " + file);
      ExpectError({"run", Model(), "-p", "hi", "--flash-mode", "off", "--", option, file}, 2,
                  std::string(option) + ": " + file);
      ExpectError({"exec", "--", "llama-server", "-m", Model(), option, file}, 2, std::string(option) + ": " + file);
    }
    ExpectError({"exec", "--", "llama-server", "-m", Model(), "--mmproj", file}, 2, file);
  }
  for (const char* name : {"empty.gguf", "cut-3000.gguf"}) {
    ExpectError(
        {"run", Model(), "-p", "hi", "--modelfile", tree_.File("My", std::string("ADAPTER ") + name + "\n"), "-q"}, 2,
        name);
  }
}

}  // namespace
}  // namespace headrace::cli
