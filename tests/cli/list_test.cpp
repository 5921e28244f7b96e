// The models on this machine: headrace list, and their names wherever a file is taken.
#include <filesystem>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "command_runner.h"
#include "http_client.h"

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class ListTest : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    Copy("austen-moe-q4_0.gguf", "home/.ollama/models/blobs/sha256-" + std::string(64, 'a'));
    tree_.File("home/.ollama/models/manifests/registry.ollama.ai/library/qwen3/30b",
               R"({"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:)" +
                   std::string(64, 'a') + R"("}]})");
    for (const char* type : {"Q4_0", "Q8_0"}) {
      const std::string folder = "home/.cache/huggingface/hub/models--ggml-org--austen-GGUF";
      Copy("austen-dense-q4_0.gguf", folder + "/blobs/" + type);
      const std::string link = tree_.Path(folder + "/snapshots/" + std::string(40, '1') + "/austen-" + type + ".gguf");
      fs::create_directories(fs::path(link).parent_path());
      fs::create_symlink(tree_.Path(folder + "/blobs/" + type), link);
    }
    tree_.File("home/.lmstudio/models/someone/broken/broken.gguf", "no model");
    Copy("austen-draft-f16.gguf", "home/.lmstudio/models/someone/small/small.GGUF");
    tree_.File("home/.lmstudio/models/someone/small/mmproj-small.gguf", "no model either");
    tree_.File("home/.lmstudio/models/someone/small/._small.GGUF", "written by macOS");
  }
  void Copy(const std::string& model, const std::string& to) {
    tree_.File(to);
    fs::copy_file(std::string(HEADRACE_SOURCE_DIR) + "/models/" + model, tree_.Path(to),
                  fs::copy_options::overwrite_existing);
  }
  // By name.
  std::map<std::string, Json> Listed(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"list", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = Run(arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    std::map<std::string, Json> models;
    const Json list = Json::parse(outcome.out);
    EXPECT_GT(list["memory_bytes"], 0);
    for (const Json& model : list["models"]) models[model["name"]] = model;
    return models;
  }
};

TEST_F(ListTest, EveryModelOfThisMachine) {
  auto models = Listed();
  std::vector<std::string> names;
  for (const auto& [name, unused] : models) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"ggml-org/austen-GGUF:Q4_0", "ggml-org/austen-GGUF:Q8_0", "qwen3:30b",
                                             "someone/broken/broken", "someone/small/small"}));
  const Json& dense = models["ggml-org/austen-GGUF:Q4_0"];
  EXPECT_EQ(dense["verdict"], "fits");
  EXPECT_EQ(dense["type"], "Q4_0");
  EXPECT_EQ(dense["size_bytes"], fs::file_size(Model()));
  EXPECT_GT(dense["tokens_per_s"], 0);
  EXPECT_EQ(models["someone/broken/broken"]["verdict"], "damaged");
  EXPECT_TRUE(Has(models["someone/broken/broken"]["reason"], "not a GGUF file"));
  const Outcome text = Run({"list"});
  EXPECT_EQ(text.status, 0);
  EXPECT_TRUE(Has(text.out, "NAME ")) << text.out;
  EXPECT_TRUE(Has(text.out, "someone/broken/broken: ")) << text.out;
}

TEST_F(ListTest, WhatTheMemoryAllows) {
  auto streams = Listed({"--weights-ram", "4M", "--flash-mode", "on"}), too_small = Listed({"--ram", "40M"});
  EXPECT_EQ(streams["qwen3:30b"]["verdict"], "streams");
  EXPECT_GT(streams["qwen3:30b"]["tokens_per_s"], 0);
  EXPECT_EQ(too_small["ggml-org/austen-GGUF:Q4_0"]["verdict"], "too_small");
  EXPECT_TRUE(Has(too_small["ggml-org/austen-GGUF:Q4_0"]["reason"], "too little"));
  const Json plan = Json::parse(Run({"plan", "qwen3:30b", "--json"}).out);
  EXPECT_EQ(plan["prediction"]["decode_tokens_per_s"], Listed()["qwen3:30b"]["tokens_per_s"])
      << "as headrace plan says";
}

TEST_F(ListTest, FoldersThatAreNamed) {
  Copy("austen-draft-f16.gguf", "a/one.gguf");
  Copy("austen-draft-f16.gguf", "b/two.gguf");
  const auto models = Listed({"--models-dir", tree_.Path("a"), "--models-dir", tree_.Path("b")});
  EXPECT_TRUE(models.contains("one") && models.contains("two") && models.contains("qwen3:30b"));
  ExpectError({"list", "--models-dir", tree_.Path("none")}, 2, "no such folder");
  environment_["HEADRACE_MODELS_DIR"] = tree_.Path("a") + ":" + tree_.Path("b");
  EXPECT_TRUE(Listed().contains("two"));
  EXPECT_EQ(Run({"run", "two", "-p", "Emma", "-n", "2", "-q"}).status, 0);
}

TEST_F(ListTest, AnEmptyMachine) {
  environment_["HOME"] = tree_.Path("nobody");
  const Outcome outcome = Run({"list"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_TRUE(Has(outcome.err, "headrace pull")) << outcome.err;
  EXPECT_EQ(Run({"list", "--quiet"}).err, "");
  EXPECT_TRUE(Listed().empty());
}

TEST_F(ListTest, NamesWorkWhereAFileDoes) {
  const std::vector<std::string> rest{"-p", "Emma", "-n", "4", "--temp", "0", "--raw", "-q"};
  const auto run = [&](const std::string& model) {
    std::vector<std::string> arguments{"run", model};
    arguments.insert(arguments.end(), rest.begin(), rest.end());
    return Run(arguments);
  };
  const Outcome by_name = run("qwen3:30b"),
                by_path = run(std::string(HEADRACE_SOURCE_DIR) + "/models/austen-moe-q4_0.gguf");
  EXPECT_EQ(by_name.status, 0) << by_name.err;
  EXPECT_TRUE(SameText(by_name.out, by_path.out));
  EXPECT_TRUE(Has(Run({"plan", "austen-GGUF:Q8_0"}).out, "austen-Q8_0.gguf"));
  const Outcome exec = Run({"exec", "--", "llama-completion", "-m", "qwen3:30b", "-p", "Emma", "-n", "2", "-no-cnv"});
  EXPECT_EQ(exec.status, 0) << exec.err;
  const Outcome draft =
      Run({"plan", "austen-GGUF:Q4_0", "--draft", "small", "--weights-ram", "10M", "--flash-mode", "on"});
  EXPECT_EQ(draft.status, 0) << draft.err;
  tree_.File("requests.jsonl",
             R"({"custom_id":"1","method":"POST","url":"/v1/completions","body":{"prompt":"Emma","max_tokens":2}})"
             "\n");
  EXPECT_EQ(Run({"batch", "qwen3", tree_.Path("requests.jsonl"), "-o", tree_.Path("results.jsonl")}).status, 0);
}

TEST_F(ListTest, AModelfileNamesOne) {
  const std::string file = tree_.File("Modelfile", "FROM qwen3:30b\nPARAMETER temperature 0\n");
  EXPECT_EQ(Run({"plan", "--modelfile", file}).status, 0);
  ExpectError({"plan", "--modelfile", tree_.File("Other", "FROM qwen3:31b\n")}, 2, "headrace list");
}

TEST_F(ListTest, ServeOffersThemAll) {
  RunningCommand server({HEADRACE_COMMAND, "serve", "--port", "0"}, environment_);
  ASSERT_TRUE(server.WaitForOutput("listening on http://127.0.0.1:"));
  ASSERT_TRUE(server.WaitForOutput("\n"));
  const std::string& said = server.output();
  const auto port = static_cast<uint16_t>(std::stoi(said.substr(said.find("127.0.0.1:") + 10)));
  const auto ask = [&](const std::string& method, const std::string& target, const std::string& body) {
    serve::HttpClient client(port);
    EXPECT_TRUE(client.Send(method, target, body));
    return client.Read();
  };
  std::vector<std::string> ids;
  const Json list = Json::parse(ask("GET", "/api/v1/models", "").body);
  for (const Json& model : list["models"]) ids.push_back(model["id"]);
  EXPECT_EQ(ids,
            (std::vector<std::string>{"ggml-org/austen-GGUF:Q4_0", "ggml-org/austen-GGUF:Q8_0", "qwen3:30b",
                                      "someone/broken/broken", "someone/small/mmproj-small", "someone/small/small"}));
  const auto answer = ask("POST", "/v1/completions", R"({"model":"qwen3:30b","prompt":"Emma","max_tokens":2})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  const auto several = ask("POST", "/v1/completions", R"({"model":"austen-GGUF","prompt":"Emma","max_tokens":2})");
  EXPECT_EQ(several.status, 400) << several.body;
  EXPECT_TRUE(Has(several.body, "several models")) << several.body;
  server.SignalCommand(SIGTERM);
  EXPECT_EQ(server.Finish().status, 0);
}

TEST_F(ListTest, NamesThatMeanNothingOrTooMuch) {
  ExpectError({"run", "austen-GGUF", "-p", "x"}, 2,
              "several models: ggml-org/austen-GGUF:Q4_0, ggml-org/austen-GGUF:Q8_0");
  ExpectError({"plan", "qwen3:3b"}, 2, "qwen3:30b");
  ExpectError({"bench", "nothing"}, 2, "no file or model nothing");
  ExpectError({"plan", "mmproj-small"}, 2, "no file or model");
  ExpectError({"plan", tree_.Path("none.gguf")}, 2, "none.gguf");
}

}  // namespace
}  // namespace headrace::cli
