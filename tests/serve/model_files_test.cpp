// What the folder of models may hold, and what may become of a file while it is served.
#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "serve_test.h"

namespace headrace::serve {
namespace {

namespace fs = std::filesystem;

class ServedFiles : public ServeTest {
 protected:
  void Copy(const std::string& model, const std::string& to) {
    tree_.File(to);
    fs::copy_file(Models() + "/" + model + ".gguf", tree_.Path(to), fs::copy_options::overwrite_existing);
  }
  void SetTime(const std::string& name, time_t seconds, long ns) {
    const timespec times[2] = {{seconds, ns}, {seconds, ns}};
    ASSERT_EQ(utimensat(AT_FDCWD, tree_.Path(name).c_str(), times, 0), 0);
  }
  bool Start(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"--models-dir", tree_.Path("lib"), "--flash-mode", "on", "--weights-ram", "4M"});
    return StartServer(more);
  }
};

TEST_F(ServedFiles, OneThatWasTouchedIsLoadedAnew) {
  Copy(kDense, "lib/x.gguf");
  SetTime("lib/x.gguf", 1'700'000'000, 5);
  ASSERT_TRUE(Start());
  const Answer first = Complete("x");
  ASSERT_EQ(first.status, 200) << first.text;
  const auto children = Children();
  // Only the nanoseconds are other ones.
  SetTime("lib/x.gguf", 1'700'000'000, 6);
  const Answer again = Complete("x");
  EXPECT_EQ(again.status, 200) << again.text;
  EXPECT_EQ(again.body["choices"][0]["text"], first.body["choices"][0]["text"]);
  EXPECT_NE(Children(), children) << "its process is another one";
  const auto now = Children();
  EXPECT_EQ(Complete("x").status, 200);
  EXPECT_EQ(Children(), now) << "once";
  EXPECT_TRUE(Has(EndServer().err, "to be loaded anew"));
}

TEST_F(ServedFiles, OneThatIsFetchedAgainIsShownAndLoadedAsWhatItIsNow) {
  Copy(kDense, "lib/x.gguf");
  SetTime("lib/x.gguf", 1'700'000'000, 5);
  ASSERT_TRUE(Start());
  ASSERT_EQ(Complete("x").status, 200);
  // In the middle of it: the loaded one stays, and the reason is said.
  std::ifstream source(Models() + "/" + kMoe + ".gguf", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(source), {}};
  tree_.File("lib/new", bytes.substr(0, bytes.size() / 2));
  fs::rename(tree_.Path("lib/new"), tree_.Path("lib/x.gguf"));
  const Answer half = Complete("x");
  EXPECT_EQ(half.status, 500) << half.text;
  EXPECT_TRUE(Has(half.Error(), "x.gguf")) << half.text;
  // Whole, with the old one's time.
  tree_.File("lib/new", bytes);
  SetTime("lib/new", 1'700'000'000, 5);
  fs::rename(tree_.Path("lib/new"), tree_.Path("lib/x.gguf"));
  EXPECT_EQ(Model("x")["size_bytes"], bytes.size());
  EXPECT_NE(Model("x")["architecture"], "llama");
  const Answer answer = Complete("x");
  EXPECT_EQ(answer.status, 200) << answer.text;
  EXPECT_NE(Complete("x").status, 0);
}

TEST_F(ServedFiles, OneThatIsGoneIsAnsweredFromAsLongAsItIsLoaded) {
  Copy(kDense, "lib/x.gguf");
  ASSERT_TRUE(Start());
  ASSERT_EQ(Complete("x").status, 200);
  fs::remove(tree_.Path("lib/x.gguf"));
  EXPECT_EQ(Complete("x").status, 200);
  EXPECT_EQ(Post("/api/v1/models/unload", {{"model", "x"}}).status, 200);
  EXPECT_EQ(Complete("x").status, 404);
}

TEST_F(ServedFiles, NamesThatTheEngineWouldTakeApart) {
  for (const char* id : {"Llama, tuned", " blank ", "a\"b", "sub/a,b"})
    Copy(kDraft, std::string("lib/") + id + ".gguf");
  ASSERT_TRUE(Start());
  for (const char* id : {"Llama, tuned", " blank ", "a\"b", "sub/a,b"}) {
    const Answer answer = Complete(id, 2);
    ASSERT_EQ(answer.status, 200) << answer.text;
    EXPECT_EQ(answer.body["model"], id);
    HttpClient client(port_);
    client.Send(
        "POST", "/v1/chat/completions",
        Json{{"model", id}, {"messages", {{{"role", "user"}, {"content", "Hi"}}}}, {"max_tokens", 3}, {"stream", true}}
            .dump());
    EXPECT_EQ(client.ReadHead().status, 200);
    EXPECT_TRUE(client.ReadUntil("[DONE]")) << client.body();
    EXPECT_TRUE(Has(client.body(), "\"model\":" + Json(id).dump())) << client.body();
    EXPECT_FALSE(Has(client.body(), "headrace-model-")) << client.body();
  }
}

TEST_F(ServedFiles, NamesThatAreNoText) {
  Copy(kDraft, "lib/bad\xff\xfename.gguf");
  Copy(kDraft, "lib/two\nlines\x1b[2J.gguf");
  ASSERT_TRUE(Start());
  for (const char* id : {"bad%FF%FEname", "two%0Alines%1B[2J"}) {
    EXPECT_EQ(Model(id)["state"], "unloaded");
    const Answer answer = Complete(id, 2);
    ASSERT_EQ(answer.status, 200) << answer.text;
    EXPECT_EQ(answer.body["model"], id);
    EXPECT_EQ(Load({{"model", id}, {"context_length", 512}}).status, 200);
    EXPECT_EQ(Model(id)["remembered"]["context_length"], 512) << "under a name that the file can hold";
  }
  EXPECT_FALSE(Has(EndServer().err, "\x1b"));
}

TEST_F(ServedFiles, TheFileOfTheCommandLineHidesNoneOfTheFolder) {
  Copy(kMoe, "lib/x.gguf");
  Copy(kDense, "other/x.gguf");
  ASSERT_TRUE(StartServer({tree_.Path("other/x.gguf"), "--models-dir", tree_.Path("lib")}));
  EXPECT_EQ(Model("x")["path"], tree_.Path("other/x.gguf"));
  EXPECT_EQ(Model("lib/x")["path"], tree_.Path("lib/x.gguf"));
  EXPECT_EQ(Post("/v1/completions", {{"prompt", "It is"}, {"max_tokens", 1}}).body["model"], "x");
  EXPECT_EQ(Complete("lib/x", 1).body["model"], "lib/x");
  EndServer();
  // One of the folder is the folder's, by its name there.
  Copy(kDense, "lib/sub/x.gguf");
  ASSERT_TRUE(StartServer({tree_.Path("lib/sub/x.gguf"), "--models-dir", tree_.Path("lib")}));
  EXPECT_EQ(Post("/v1/completions", {{"prompt", "It is"}, {"max_tokens", 1}}).body["model"], "sub/x");
  EXPECT_EQ(Get("/v1/models").body["data"].size(), 2u);
}

TEST_F(ServedFiles, AnUnknownNameIsToldTheNearest) {
  ASSERT_TRUE(StartServer({"--models-dir", Models()}));
  for (const char* name : {"AUSTEN-DENCE-Q4_0", "org/austen-dense-q4_1", "austen-dense-q4_1:latest", "gpt-4o"}) {
    for (const Answer& answer :
         {Complete(name), Load({{"model", name}}), Get(std::string("/api/v1/models/estimate?model=") + name),
          Get(std::string("/v1/models/") + name), Post("/api/v1/models/unload", {{"model", name}})}) {
      EXPECT_EQ(answer.status, 404) << answer.text;
      EXPECT_TRUE(Has(answer.Error(), kDense)) << answer.text;
    }
  }
  EXPECT_TRUE(Children().empty());
}

}  // namespace
}  // namespace headrace::serve
