// The hub's models through the port: searching, fetching, deleting.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "local_hub.h"
#include "serve_test.h"

namespace headrace::serve {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPulled = "u/austen-GGUF:Q4_0";
constexpr const char* kDraftPulled = "u/austen-GGUF:F16";

class HubApi : public ServeTest {
 protected:
  void SetUp() override {
    ServeTest::SetUp();
    hub_.Start(CommandTest::Model());
    environment_["HF_ENDPOINT"] = hub_.address();
  }

  Json& Repository(const std::string& name) { return hub_.configuration()["repositories"][name]; }
  Json& File(const std::string& repository, const std::string& name) { return Repository(repository)["files"][name]; }
  static std::string Draft() { return Models() + "/austen-draft-f16.gguf"; }
  Answer Pull(const std::string& source) { return Post("/api/v1/models/pull", {{"model", source}}); }
  Answer Delete(const std::string& id, const HttpHeaders& headers = {}) {
    return Ask("POST", "/api/v1/models/delete", Json{{"model", id}}.dump(), headers);
  }
  std::string Hub() const { return tree_.Path("home/.cache/huggingface/hub/models--u--austen-GGUF"); }
  size_t ModelsHere() { return Get("/api/v1/models").body["models"].size(); }

  LocalHub hub_{tree_};
};

TEST_F(HubApi, IsAskedOnlyWhenAClientAsks) {
  File("u/other-GGUF", "x-Q8_0.gguf") = {{"source", Draft()}};
  File("u/no-model-austen", "README.md") = {{"source", Draft()}};
  Repository("v/austen-2-GGUF") = {{"commit", ""}, {"gated", "auto"}, {"downloads", 7}};
  File("v/austen-2-GGUF", "y.gguf") = {{"source", Draft()}};
  File("../austen-gguf/x", "y.gguf") = {{"source", Draft()}};
  hub_.Write();
  ASSERT_TRUE(StartServer({}));
  EXPECT_EQ(Get("/").status, 200);
  EXPECT_EQ(Get("/api/v1/models").body["downloads_refused"], nullptr);
  EXPECT_TRUE(hub_.Asked().empty());
  const Answer found = Get("/api/v1/hub/search?query=austen%20gguf");
  ASSERT_EQ(found.status, 200) << found.text;
  const Json& repositories = found.body["repositories"];
  ASSERT_EQ(repositories.size(), 2u) << found.text;
  EXPECT_EQ(repositories[0], Json({{"name", "v/austen-2-GGUF"}, {"downloads", 7}, {"likes", 0}, {"gated", true}}));
  EXPECT_EQ(repositories[1]["name"], "u/austen-GGUF");
  EXPECT_EQ(repositories[1]["gated"], false);
  EXPECT_EQ(Get("/api/v1/hub/search?query=nothing").body["repositories"], Json::array());
  EXPECT_EQ(Get("/api/v1/hub/search").status, 400);
  EXPECT_EQ(Post("/api/v1/hub/search?query=a", Json::object()).status, 405);
}

TEST_F(HubApi, SaysWhatARepositoryHas) {
  File("u/austen-GGUF", "austen-Q8_0.gguf") = {{"source", Draft()}};
  File("u/austen-GGUF", "mmproj-F16.gguf") = {{"source", Draft()}};
  Repository("u/secret-GGUF") = Repository("u/austen-GGUF");
  Repository("u/secret-GGUF")["token"] = "t";
  hub_.Write();
  ASSERT_TRUE(StartServer({}));
  const uint64_t projector = fs::file_size(Draft());
  const Answer about = Get("/api/v1/hub/repository?name=u/austen-GGUF");
  ASSERT_EQ(about.status, 200) << about.text;
  EXPECT_GT(about.body["disk_free_bytes"], 0u);
  const Json& models = about.body["models"];
  ASSERT_EQ(models.size(), 2u) << about.text;
  EXPECT_EQ(models[0]["quantization"], "Q8_0") << "the smallest first";
  EXPECT_EQ(models[1]["source"], "hf:u/austen-GGUF:Q4_0");
  EXPECT_EQ(models[1]["files"], 2u) << "with its projector";
  EXPECT_EQ(models[1]["size_bytes"], fs::file_size(CommandTest::Model()) + projector);
  EXPECT_EQ(models[1]["verdict"], "fits");
  EXPECT_EQ(models[1]["model"], nullptr);
  EXPECT_EQ(Get("/api/v1/hub/repository?name=u/none").status, 404);
  EXPECT_EQ(Get("/api/v1/hub/repository?name=../x").status, 400);
  const Answer closed = Get("/api/v1/hub/repository?name=u/secret-GGUF");
  EXPECT_EQ(closed.status, 403) << "401 would ask for the key of this server";
  EXPECT_TRUE(Has(closed.Error(), "HF_TOKEN")) << closed.text;
}

TEST_F(HubApi, AServerWithoutAModelGetsOne) {
  hub_.Delay(0.02);
  ASSERT_TRUE(StartServer({}));
  EXPECT_EQ(ModelsHere(), 0u);
  const Answer answer = Post("/api/v1/models/pull", {{"model", "hf:u/austen-GGUF:Q4_0"}, {"stream", true}});
  EXPECT_TRUE(Has(answer.text, "event: progress\n")) << answer.text;
  EXPECT_TRUE(Has(answer.text, "\"phase\":\"downloading\"")) << answer.text;
  ASSERT_TRUE(Has(answer.text, "event: pulled\n")) << answer.text;
  EXPECT_TRUE(Has(answer.text, "\"model\":\"u/austen-GGUF:Q4_0\"")) << answer.text;
  EXPECT_EQ(Complete(kPulled, 1).status, 200);
  EXPECT_EQ(Get("/api/v1/hub/repository?name=u/austen-GGUF").body["models"][0]["model"], kPulled);
  const Answer again = Pull("hf:u/austen-GGUF");
  EXPECT_EQ(again.body["was_there"], true) << again.text;
  EXPECT_EQ(again.body["model"], kPulled) << again.text;
}

TEST_F(HubApi, AClientThatGoesAwayStopsADownloadThatGoesOn) {
  hub_.Delay(0.05);
  ASSERT_TRUE(StartServer({}));
  {
    HttpClient client(port_);
    client.Send("POST", "/api/v1/models/pull", R"({"model": "u/austen-GGUF", "stream": true})");
    client.ReadHead();
    ASSERT_TRUE(client.ReadUntil("\"phase\":\"downloading\"")) << client.body();
  }
  hub_.Delay(0);
  const Answer answer = Pull("u/austen-GGUF");
  ASSERT_EQ(answer.status, 200) << answer.text;
  EXPECT_EQ(answer.body["was_there"], false) << "the first one was stopped";
  EXPECT_EQ(Complete(kPulled, 1).status, 200);
}

TEST_F(HubApi, WhatIsWrongWithADownloadIsSaid) {
  const std::string large = tree_.File("large.gguf");
  fs::resize_file(large, uint64_t{8} << 40);
  File("u/large-GGUF", "large-Q4_0.gguf") = {{"source", large}, {"sha256", std::string(64, 'a')}};
  Repository("u/large-GGUF")["commit"] = std::string(40, 'b');
  Repository("u/secret-GGUF") = Repository("u/austen-GGUF");
  Repository("u/secret-GGUF")["token"] = "t";
  hub_.Write();
  ASSERT_TRUE(StartServer({}));
  EXPECT_EQ(Pull("u/none-GGUF").status, 404);
  EXPECT_EQ(Pull("hf:u/austen-GGUF:Q2_K").status, 404);
  EXPECT_EQ(Pull("https://example.org/x.gguf").status, 400);
  EXPECT_EQ(Pull("").status, 400);
  const Answer secret = Pull("u/secret-GGUF");
  EXPECT_EQ(secret.status, 403);
  EXPECT_TRUE(Has(secret.Error(), "HF_TOKEN")) << secret.text;
  const Answer full = Pull("u/large-GGUF");
  EXPECT_EQ(full.status, 507) << full.text;
  EXPECT_TRUE(Has(full.Error(), "free some space")) << full.text;
  EXPECT_TRUE(Has(Post("/api/v1/models/pull", {{"model", "u/large-GGUF"}, {"stream", true}}).text, "event: error"));
  EXPECT_EQ(ModelsHere(), 0u);
}

TEST_F(HubApi, WhatIsNotOfferedIsNotFetched) {
  ASSERT_TRUE(StartServer());
  EXPECT_TRUE(Has(Pull("u/austen-GGUF").Error(), "--models-dir"));
  EXPECT_EQ(Get("/api/v1/hub/search?query=austen").status, 400);
  EXPECT_EQ(Get("/api/v1/hub/repository?name=u/austen-GGUF").status, 400);
  EXPECT_TRUE(Has(Get("/api/v1/models").body.value("downloads_refused", ""), "--models-dir"));
  EXPECT_TRUE(hub_.Asked().empty());
}

TEST_F(HubApi, DeletesOnlyWhatWasFetchedAndIsNotLoaded) {
  const std::string mine = tree_.Path("mine/austen-dense-q4_0.gguf");
  fs::create_directories(tree_.Path("mine"));
  fs::copy_file(CommandTest::Model(), mine);
  environment_["HEADRACE_MODELS_DIR"] = tree_.Path("mine");
  File("u/austen-GGUF", "austen-F16.gguf") = {{"source", Draft()}};
  hub_.Write();
  ASSERT_TRUE(StartServer({}));
  ASSERT_EQ(Pull("u/austen-GGUF:Q4_0").status, 200);
  EXPECT_EQ(Model(kDense)["deletable"], false);
  EXPECT_EQ(Model(kPulled)["deletable"], true);

  const Answer elsewhere = Delete(kDense);
  EXPECT_EQ(elsewhere.status, 403) << elsewhere.text;
  EXPECT_TRUE(Has(elsewhere.Error(), "remove it where it is")) << elsewhere.text;
  EXPECT_TRUE(fs::exists(mine));

  ASSERT_EQ(Load({{"model", kPulled}}).status, 200);
  const Answer loaded = Delete(kPulled);
  EXPECT_EQ(loaded.status, 409) << loaded.text;
  EXPECT_TRUE(Has(loaded.Error(), "unload it first")) << loaded.text;
  // As a draft of another one.
  ASSERT_EQ(Pull("u/austen-GGUF:F16").status, 200);
  const Answer with_draft = Load({{"model", kDense}, {"draft_model", kDraftPulled}});
  ASSERT_EQ(with_draft.status, 200) << with_draft.text;
  const Answer drafts = Delete(kDraftPulled);
  EXPECT_EQ(drafts.status, 409) << drafts.text;
  EXPECT_TRUE(Has(drafts.Error(), kDense)) << drafts.text;
  ASSERT_EQ(Post("/api/v1/models/unload", {{"model", kDense}}).status, 200);

  const std::string host = "127.0.0.1:" + std::to_string(port_);
  EXPECT_EQ(Delete(kPulled, {{"Host", host}, {"Origin", "http://evil.example"}}).status, 403);
  EXPECT_EQ(Delete(kPulled, {{"Host", host}, {"Sec-Fetch-Site", "cross-site"}}).status, 403);
  EXPECT_EQ(Ask("DELETE", "/api/v1/models/delete", Json{{"model", kPulled}}.dump()).status, 405);
  EXPECT_EQ(Delete("none").status, 404);
  EXPECT_EQ(Post("/api/v1/models/delete", Json::object()).status, 400);
  EXPECT_EQ(ModelsHere(), 3u);

  const Answer deleted = Delete(kPulled);
  ASSERT_EQ(deleted.status, 200) << deleted.text;
  EXPECT_EQ(deleted.body["freed_bytes"], fs::file_size(mine));
  EXPECT_EQ(Model(kDraftPulled)["state"], "unloaded");
  ASSERT_EQ(Delete(kDraftPulled).status, 200);
  EXPECT_FALSE(fs::exists(Hub()));
  EXPECT_EQ(ModelsHere(), 1u);
}

TEST_F(HubApi, AKeyIsNeeded) {
  environment_["HEADRACE_API_KEY"] = "key";
  ASSERT_TRUE(StartServer({}));
  EXPECT_EQ(Get("/api/v1/hub/search?query=austen").status, 401);
  EXPECT_EQ(Pull("u/austen-GGUF").status, 401);
  EXPECT_EQ(Delete(kPulled).status, 401);
  EXPECT_TRUE(hub_.Asked().empty());
}

}  // namespace
}  // namespace headrace::serve
