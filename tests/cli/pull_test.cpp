// headrace pull, from a server that speaks the hub's protocol and fails in the ways in which networks and disks do.
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "command_runner.h"

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

std::string Content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Of the test itself: what starts Python may need it.
std::map<std::string, std::string> OwnEnvironment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (const size_t equals = text.find('='); equals != std::string::npos)
      variables[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return variables;
}

class PullTest : public CommandTest {
 protected:
  static constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";

  void SetUp() override {
    CommandTest::SetUp();
    Repository("u/austen-GGUF",
               {{"austen-Q8_0.gguf", Draft()}, {"austen-Q4_K_M.gguf", Model()}, {"README.md", Draft()}});
    WriteConfiguration();
    server_ = std::make_unique<RunningCommand>(
        std::vector<std::string>{"/usr/bin/env", "python3",
                                 std::string(HEADRACE_SOURCE_DIR) + "/tests/support/hub_server.py",
                                 tree_.Path("server.json"), tree_.Path("log")},
        OwnEnvironment());
    ASSERT_TRUE(server_->WaitForOutput("."));
    std::istringstream words(server_->output());
    std::string word;
    ASSERT_TRUE(words >> word >> hub_port_ >> files_port_);
    environment_["HF_ENDPOINT"] = "http://127.0.0.1:" + std::to_string(hub_port_);
  }
  void TearDown() override {
    if (server_ == nullptr) return;
    server_->SignalCommand(SIGKILL);
    server_->Finish();
  }

  static std::string Draft() { return std::string(HEADRACE_SOURCE_DIR) + "/models/austen-draft-f16.gguf"; }
  void Repository(const std::string& name, const std::map<std::string, std::string>& files) {
    Json& repository = configuration_["repositories"][name];
    repository["commit"] = kCommit;
    for (const auto& [path, source] : files) repository["files"][path] = {{"source", source}};
  }
  // Replaced in one step: the server reads it at any time.
  void WriteConfiguration() {
    tree_.File("server.new", configuration_.dump());
    fs::rename(tree_.Path("server.new"), tree_.Path("server.json"));
  }
  void Set(const std::string& key, const Json& value) {
    configuration_[key] = value;
    WriteConfiguration();
  }
  std::vector<Json> Requests() const {
    std::vector<Json> requests;
    std::ifstream log(tree_.Path("log"));
    for (std::string line; std::getline(log, line);) requests.push_back(Json::parse(line));
    return requests;
  }
  std::string Hub(const std::string& name) const { return tree_.Path("home/.cache/huggingface/hub/models--" + name); }
  std::string Snapshot(const std::string& name, const std::string& file) const {
    return Hub(name) + "/snapshots/" + kCommit + "/" + file;
  }
  std::string Austen() const { return Snapshot("u--austen-GGUF", "austen-Q4_K_M.gguf"); }
  // Files in the folder, of any depth, whose name ends like this.
  size_t Count(const std::string& folder, const std::string& end) const {
    size_t count = 0;
    std::error_code error;
    for (fs::recursive_directory_iterator it(folder, error), last; !error && it != last; it.increment(error))
      count += it->path().string().ends_with(end);
    return count;
  }
  std::string Address(const std::string& path) const {
    return "http://127.0.0.2:" + std::to_string(files_port_) + path;
  }

  Json configuration_ = Json::object();
  std::unique_ptr<RunningCommand> server_;
  int hub_port_ = 0, files_port_ = 0;
};

TEST_F(PullTest, IntoTheHubsCacheWhereOthersFindIt) {
  const Outcome outcome = Run({"pull", "hf:u/austen-GGUF"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, Austen() + "\n") << "of the types there Q4_K_M";
  EXPECT_TRUE(Has(outcome.err, "u/austen-GGUF:Q4_K_M")) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "SHA-256 is verified")) << outcome.err;
  EXPECT_EQ(Content(Austen()), Content(Model()));
  EXPECT_TRUE(fs::read_symlink(Austen()).string().starts_with("../../blobs/"));
  EXPECT_EQ(Content(Hub("u--austen-GGUF") + "/refs/main"), kCommit);
  EXPECT_EQ(Count(Hub("u--austen-GGUF"), "-part") + Count(Hub("u--austen-GGUF"), ".state"), 0u);
  size_t ranges = 0;
  for (const Json& request : Requests()) ranges += !request["range"].is_null();
  EXPECT_GT(ranges, 4u) << "several ranges";
  EXPECT_TRUE(Has(Run({"plan", "u/austen-GGUF"}).out, "austen-dense"));
  // llama.cpp's own name for it.
  EXPECT_EQ(
      Run({"exec", "--", "llama-completion", "-hf", "u/austen-GGUF", "--offline", "-p", "Emma", "-n", "2", "-no-cnv"})
          .status,
      0);
  const size_t before = Requests().size();
  const Outcome again = Run({"pull", "hf:u/austen-GGUF:q4_k_m"});
  EXPECT_EQ(again.status, 0);
  EXPECT_TRUE(Has(again.err, "it was there already")) << again.err;
  EXPECT_LE(Requests().size() - before, 3u) << "nothing is fetched again";
}

TEST_F(PullTest, InterruptedTenTimes) {
  Set("delay", 0.1);
  for (int i = 0; i < 10; ++i) {
    RunningCommand command({HEADRACE_COMMAND, "pull", "hf:u/austen-GGUF"}, environment_);
    const size_t before = Requests().size();
    ASSERT_TRUE(Eventually([&] { return Requests().size() >= before + 9; })) << "ranges are under way";
    usleep(300'000);
    // Once in good order, once without a word.
    command.SignalCommand(i % 2 == 0 ? SIGINT : SIGKILL);
    const Outcome outcome = command.Finish();
    EXPECT_EQ(outcome.status, i % 2 == 0 ? 130 : 137) << outcome.err;
    EXPECT_EQ(Has(outcome.err, "the same command continues"), i % 2 == 0) << outcome.err;
    EXPECT_FALSE(fs::exists(Austen())) << "half a model looks like no model";
    EXPECT_EQ(Run({"list"}).out, "");
  }
  uint64_t asked = 0;
  Set("delay", 0);
  const size_t before = Requests().size();
  const Outcome outcome = Run({"pull", "hf:u/austen-GGUF"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "are missing")) << "it goes on: " << outcome.err;
  EXPECT_EQ(Content(Austen()), Content(Model()));
  const auto requests = Requests();
  for (size_t i = before; i < requests.size(); ++i) {
    if (requests[i]["server"] != "files" || requests[i]["range"].is_null()) continue;
    uint64_t begin = 0, end = 0;
    ASSERT_EQ(sscanf(requests[i]["range"].get<std::string>().c_str(), "bytes=%lu-%lu", &begin, &end), 2);
    asked += end + 1 - begin;
  }
  EXPECT_LT(asked, fs::file_size(Model())) << "what was there is not asked for again";
}

TEST_F(PullTest, ConnectionsThatBreak) {
  configuration_["break_after"] = 200'000;
  Set("breaks", 40);
  const Outcome outcome = Run({"pull", "hf:u/austen-GGUF"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(Content(Austen()), Content(Model()));
}

TEST_F(PullTest, AServerThatGivesNothing) {
  Set("break_after", 0);
  const Outcome outcome = Run({"pull", "hf:u/austen-GGUF"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(Has(outcome.err, "the same command continues")) << outcome.err;
  EXPECT_FALSE(fs::exists(Austen()));
}

TEST_F(PullTest, AServerWithoutRanges) {
  Set("no_ranges", true);
  const Outcome outcome = Run({"pull", "hf:u/austen-GGUF"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(Content(Austen()), Content(Model()));
}

TEST_F(PullTest, AWrongHashLeavesNothing) {
  configuration_["repositories"]["u/austen-GGUF"]["files"]["austen-Q4_K_M.gguf"]["sha256"] = std::string(64, 'a');
  WriteConfiguration();
  const Outcome outcome = Run({"pull", "hf:u/austen-GGUF"});
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "instead of aaaa")) << outcome.err;
  EXPECT_FALSE(fs::exists(Austen()));
  EXPECT_EQ(Count(Hub("u--austen-GGUF") + "/blobs", ""), 0u);
}

TEST_F(PullTest, APageInPlaceOfAModelLeavesNothing) {
  const std::string page = tree_.File("page", "<!DOCTYPE html><p>Log in</p>");
  configuration_["plain"]["/a.gguf"] = {{"source", page}};
  Repository("u/page-GGUF", {{"page-Q4_K_M.gguf", page}});
  WriteConfiguration();
  for (const std::string& source : {Address("/a.gguf"), std::string("hf:u/page-GGUF")}) {
    for (int i = 0; i < 2; ++i)
      ExpectError({"pull", "--quiet", source}, 2, "is no GGUF file, it begins with '<!DOCTYPE");
  }
  EXPECT_EQ(
      Count(tree_.Path("home"), ".gguf") + Count(tree_.Path("home"), "-part") + Count(tree_.Path("home"), ".state"),
      0u);
}

TEST_F(PullTest, ATokenIsForTheHubAlone) {
  configuration_["repositories"]["u/austen-GGUF"]["token"] = "hf_secret";
  WriteConfiguration();
  Outcome outcome = Run({"pull", "hf:u/austen-GGUF"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_TRUE(Has(outcome.err, "HF_TOKEN")) << outcome.err;
  environment_["HF_TOKEN"] = "hf_other";
  outcome = Run({"pull", "hf:u/austen-GGUF"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_TRUE(Has(outcome.err, "does not give access")) << outcome.err;
  EXPECT_FALSE(Has(outcome.err, "hf_other")) << "nobody reads it in a log";
  environment_["HF_TOKEN"] = "hf_secret";
  ASSERT_EQ(Run({"pull", "hf:u/austen-GGUF"}).status, 0);
  ASSERT_EQ(Run({"pull", Address(Model())}).status, 0);
  size_t files = 0;
  for (const Json& request : Requests()) {
    if (request["server"] != "files") continue;
    ++files;
    EXPECT_TRUE(request["authorization"].is_null()) << request;
  }
  EXPECT_GT(files, 0u);
  environment_["HF_TOKEN"] = "hf\nX-Evil: 1";
  EXPECT_EQ(Run({"pull", "hf:u/austen-GGUF"}).status, 2);
}

TEST_F(PullTest, WhatIsNotThere) {
  ExpectError({"pull", "hf:u/nothing-GGUF"}, 2, "no such repository");
  ExpectError({"pull", "hf:u/austen-GGUF:Q3_K_S"}, 2, "there are Q4_K_M, Q8_0");
  ExpectError({"pull", "hf:u"}, 2, "hf:USER/NAME");
  ExpectError({"pull", "hf:../../etc"}, 2, "hf:USER/NAME");
  ExpectError({"pull", "u/austen-GGUF"}, 2, "hf:USER/NAME");
  ExpectError({"pull", "file:///etc/passwd.gguf"}, 2, "not something that headrace can fetch");
  ExpectError({"pull", Address("/none.gguf")}, 2, "404");
  ExpectError({"pull", Address("/page.html")}, 2, ".gguf");
  environment_["HF_ENDPOINT"] = "http://127.0.0.1:1";
  EXPECT_EQ(Run({"pull", "hf:u/austen-GGUF"}).status, 1);
}

TEST_F(PullTest, AllPartsAndTheProjectorBesideThem) {
  Repository("u/split-GGUF", {{"Q4_0/m-Q4_0-00001-of-00002.gguf", Model()},
                              {"Q4_0/m-Q4_0-00002-of-00002.gguf", Draft()},
                              {"mmproj-F32.gguf", Model()},
                              {"mmproj-F16.gguf", Draft()}});
  Repository("u/half-GGUF", {{"m-00001-of-00002.gguf", Model()}});
  WriteConfiguration();
  ASSERT_EQ(Run({"pull", "hf:u/split-GGUF"}).status, 0);
  for (const char* file : {"Q4_0/m-Q4_0-00001-of-00002.gguf", "Q4_0/m-Q4_0-00002-of-00002.gguf", "mmproj-F16.gguf"})
    EXPECT_TRUE(fs::exists(Snapshot("u--split-GGUF", file))) << file;
  EXPECT_FALSE(fs::exists(Snapshot("u--split-GGUF", "mmproj-F32.gguf")));
  ExpectError({"pull", "hf:u/half-GGUF"}, 2, "lacks a part");
  fs::remove_all(Hub("u--split-GGUF"));
  ASSERT_EQ(Run({"pull", "--no-projector", "hf:u/split-GGUF:Q4_0"}).status, 0);
  EXPECT_FALSE(fs::exists(Snapshot("u--split-GGUF", "mmproj-F16.gguf")));
}

TEST_F(PullTest, NamesFromTheNetworkStayInTheFolder) {
  Repository("u/evil-GGUF", {{"../../../../escaped-Q4_K_M.gguf", Model()},
                             {"/tmp/escaped-Q4_K_M.gguf", Model()},
                             {"a/./b-Q4_K_M.gguf", Model()},
                             {"line\nbreak-Q4_K_M.gguf", Model()},
                             {"back\\slash-Q4_K_M.gguf", Model()}});
  WriteConfiguration();
  ExpectError({"pull", "hf:u/evil-GGUF"}, 2, "no GGUF file");
  EXPECT_EQ(Count(tree_.Path("home"), ".gguf"), 0u);
  ExpectError({"pull", Address("/..%2f..%2fescaped.gguf")}, 2, "is not the address");
}

TEST_F(PullTest, AnAddress) {
  const std::string file = tree_.Path("home/.cache/llama.cpp/austen-dense-q4_0.gguf");
  configuration_["break_after"] = 3'000'000;
  configuration_["breaks"] = 3;
  Set("etag", "\"one\"");
  const Outcome outcome = Run({"pull", Address(Model()) + "?download=true"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, file + "\n");
  EXPECT_EQ(Content(file), Content(Model()));
  EXPECT_TRUE(Has(outcome.err, "no SHA-256")) << outcome.err;
  EXPECT_TRUE(Has(Run({"pull", Address(Model())}).err, "it was there already"));
  EXPECT_EQ(Run({"run", "austen-dense-q4_0", "-p", "Emma", "-n", "2", "-q"}).status, 0);
  // Another version in the middle is no part of this one.
  fs::remove(file);
  Set("etag", "\"COUNT\"");
  const Outcome changed = Run({"pull", Address(Model())});
  EXPECT_NE(changed.status, 0);
  EXPECT_TRUE(Has(changed.err, "changed during the download")) << changed.err;
  EXPECT_FALSE(fs::exists(file));
}

TEST_F(PullTest, ADiskThatIsFull) {
  if (geteuid() != 0) GTEST_SKIP() << "cannot mount a file system here: not root";
  fs::create_directories(tree_.Path("disk"));
  if (mount("none", tree_.Path("disk").c_str(), "tmpfs", 0, "size=40m") != 0)
    GTEST_SKIP() << "cannot mount a file system here";
  struct Unmount {
    std::string path;
    ~Unmount() { umount2(path.c_str(), MNT_DETACH); }
  } unmount{tree_.Path("disk")};
  environment_["HF_HUB_CACHE"] = tree_.Path("disk/hub");
  // Too little from the start: nothing is fetched.
  std::ofstream(tree_.Path("disk/other")) << std::string(20 << 20, 'x');
  ExpectError({"pull", "hf:u/austen-GGUF"}, 2, "are needed");
  EXPECT_EQ(Count(tree_.Path("disk/hub"), "-part"), 0u);
  // It fills while the model comes.
  fs::remove(tree_.Path("disk/other"));
  Set("delay", 0.02);
  RunningCommand command({HEADRACE_COMMAND, "pull", "hf:u/austen-GGUF"}, environment_);
  ASSERT_TRUE(Eventually([&] { return Count(tree_.Path("disk/hub"), "-part") > 0; }));
  std::ofstream(tree_.Path("disk/other")) << std::string(39 << 20, 'x');
  const Outcome outcome = command.Finish();
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "No space left")) << outcome.err;
  EXPECT_EQ(Count(tree_.Path("disk/hub"), ".gguf"), 0u);
  fs::remove(tree_.Path("disk/other"));
  Set("delay", 0);
  EXPECT_EQ(Run({"pull", "hf:u/austen-GGUF"}).status, 0);
  EXPECT_EQ(Content(tree_.Path("disk/hub/models--u--austen-GGUF/snapshots/") + kCommit + "/austen-Q4_K_M.gguf"),
            Content(Model()));
}

}  // namespace
}  // namespace headrace::cli
