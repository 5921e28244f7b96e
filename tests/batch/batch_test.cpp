// What headrace batch answers, and what it says.
#include <cstdlib>
#include <filesystem>

#include "batch_runner.h"

namespace headrace::batch {
namespace {

class Batches : public BatchTest {
 protected:
  // As the summary says; a failure where it says nothing.
  static unsigned long Passes(const std::string& text) {
    const size_t end = text.find(" passes over the weights");
    EXPECT_NE(end, std::string::npos) << text;
    return end == std::string::npos ? 0 : std::strtoul(text.c_str() + text.rfind(' ', end - 1), nullptr, 10);
  }
};

TEST_F(Batches, TextsAreThoseOfRequestsOneByOne) {
  WriteRequests(Completions(6, 20));
  const std::vector<std::string> stock = {"--flash-mode", "off", "--slots", "1", "--", "--no-repack"};
  ASSERT_EQ(Batch(stock).status, 0);
  const auto expected = Texts();
  ExpectAllAnswered(6);
  const auto alone =
      Batch({"--overwrite", "--flash-mode", "on", "--kernels", "plain", "--weights-ram", "4M", "--slots", "1"});
  ASSERT_EQ(alone.status, 0) << alone.err;
  EXPECT_EQ(Texts(), expected) << "streamed, bit for bit";
  const auto together = Batch({"--overwrite", "--flash-mode", "on", "--weights-ram", "4M", "--slots", "4"});
  ASSERT_EQ(together.status, 0) << together.err;
  EXPECT_TRUE(Has(together.err, "6 requests, 4 at a time share a KV cache of")) << together.err;
  EXPECT_LT(Passes(together.err), Passes(alone.err) / 2) << together.err;
  ExpectAllAnswered(6);
  for (const auto& [id, text] : Texts()) EXPECT_EQ(Beginning(text), Beginning(expected.at(id)));
  // One that nobody else can be mistaken for.
  WriteRequests(Completion("r1", "He was", 20).dump() + "\n");
  ASSERT_EQ(Batch({"--overwrite", "--flash-mode", "off", "--slots", "1", "--", "--no-repack"}).status, 0);
  EXPECT_EQ(Texts()["r1"], expected.at("r1")) << "the answer of another request";
}

TEST_F(Batches, EveryLineHasItsResult) {
  const std::string chat =
      R"({"custom_id": "chat", "url": "/v1/chat/completions", "body": {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}})";
  const std::string embedding =
      R"({"custom_id": "vector", "method": "POST", "url": "/v1/embeddings", "body": {"input": ["Hello there", "I am"]}})";
  const std::string wrong = R"({"custom_id": "wrong", "url": "/v1/completions", "body": {"prompt": 12}})";
  const std::string deep = R"({"custom_id": "deep", "url": "/v1/completions", "body": {"prompt": )" +
                           std::string(5000, '[') + std::string(5000, ']') + "}}";
  std::string words;
  for (int i = 0; i < 3000; ++i) words += "It is a truth ";
  WriteRequests(Completion("first", "It is", 4).dump() + "\r\n{bad\n\n" + Completion("first", "He was", 4).dump() +
                "\n" + chat + "\n" + embedding + "\n" + wrong + "\n" + deep + "\n\"\xff\xfe\"\n" +
                Completion("long", words, 4).dump() + "\n" + Completion("last", "He was", 4).dump());
  const auto outcome = Batch();
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "6 failed")) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  const auto results = ResultsById();
  EXPECT_EQ(Results().size(), 10u);
  for (const char* id : {"first", "chat", "vector", "last"}) {
    ASSERT_TRUE(results.count(id)) << id;
    EXPECT_EQ(results.at(id)["response"]["status_code"], 200) << results.at(id);
  }
  EXPECT_EQ(results.at("vector")["response"]["body"]["data"].size(), 2u);
  EXPECT_EQ(results.at("wrong")["response"]["status_code"], 400);
  EXPECT_EQ(results.at("long")["response"]["status_code"], 400);
  EXPECT_TRUE(Has(results.at("long").dump(), "exceeds the available context size"));
  std::map<std::string, std::string> errors;
  for (const Json& result : Results()) {
    if (result["custom_id"].is_null()) errors[result["id"]] = result["error"]["message"];
  }
  EXPECT_EQ(errors.size(), 4u);
  EXPECT_TRUE(Has(errors["batch_req_2"], "line 2 was skipped: it is not JSON")) << errors["batch_req_2"];
  EXPECT_TRUE(Has(errors["batch_req_4"], "is that of line 1")) << errors["batch_req_4"];
  // Nothing is left to do: the engine is not needed any more.
  const std::string before = ResultsText();
  const auto again = Batch({"--engine", "/nowhere"});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(ResultsText(), before);
}

// With a disk so fast that computing decides, narrow ones are enough.
TEST_F(Batches, APromptsPassesAreAsWideAsTheDiskAsksFor) {
  WriteRequests(Completions(2, 2));
  environment_["HEADRACE_DISK"] = "1T";
  const std::string chosen = "prompts are read 128 tokens in a pass";
  const std::vector<std::string> streaming = {"--overwrite", "--flash-mode", "on", "--weights-ram", "4M"};
  const auto outcome = Batch(streaming);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, chosen)) << outcome.err;
  ExpectAllAnswered(2);
  auto own = streaming;
  own.insert(own.end(), {"--", "-ub", "512"});
  EXPECT_FALSE(Has(Batch(own).err, "tokens in a pass"));
  // Each of these must be in one pass.
  WriteRequests(R"({"custom_id": "vector", "url": "/v1/embeddings", "body": {"input": "Hello there"}})");
  EXPECT_FALSE(Has(Batch(streaming).err, "tokens in a pass"));
}

TEST_F(Batches, ErrorsAreRetriedWhenAsked) {
  WriteRequests("{bad\n" + Completion("a", "It is", 3).dump() + "\n");
  ASSERT_EQ(Batch().status, 0);
  const std::string good = ResultsById().at("a").dump();
  WriteRequests(Completion("b", "It is", 3).dump() + "\n" + Completion("a", "It is", 3).dump() + "\n");
  const auto outcome = Batch({"--retry-errors"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(Texts().size(), 2u);
  EXPECT_EQ(Results().size(), 2u);
  EXPECT_EQ(ResultsById().at("a").dump(), good) << "it was not done again";
}

TEST_F(Batches, FromStandardInput) {
  WriteRequests(Completions(2, 3));
  const std::string command = "$HEADRACE batch " + Model() + " - ";
  const auto refused = Shell("cat " + tree_.Path("requests.jsonl") + " | " + command);
  EXPECT_EQ(refused.status, 2);
  EXPECT_TRUE(Has(refused.err, "-o FILE")) << refused.err;
  const auto outcome = Shell("cat " + tree_.Path("requests.jsonl") + " | " + command + "-q -o " + ResultsPath());
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(Texts().size(), 2u);
}

TEST_F(Batches, AnEmptyFile) {
  WriteRequests("\n");
  const auto outcome = Batch({"--engine", "/nowhere"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_TRUE(Has(outcome.err, "has no requests")) << outcome.err;
  EXPECT_TRUE(std::filesystem::exists(ResultsPath()));
}

TEST_F(Batches, WrongUseIsSaidBeforeAnythingStarts) {
  WriteRequests(Completions(1, 3));
  const std::string requests = tree_.Path("requests.jsonl");
  ExpectError({"batch", Model()}, 2, "requests is required");
  ExpectError({"batch", Model(), "/nowhere.jsonl"}, 2, "/nowhere.jsonl: cannot open");
  ExpectError({"batch", Model(), tree_.Path("")}, 2, "is a folder");
  ExpectError({"batch", Model(), requests, "-o", requests}, 2, "holds the requests");
  ExpectError({"batch", Model(), requests, "-o", "/dev/null"}, 2, "not a regular file");
  ExpectError({"batch", Model(), requests, "-o", "/nowhere/results.jsonl"}, 2, "cannot open");
  ExpectError({"batch", Model(), requests, "--overwrite", "--retry-errors"}, 2, "contradict");
  ExpectError({"batch", Model(), requests, "--", "-np", "4"}, 2, "headrace sets -np itself");
  ExpectError({"batch", "/nowhere.gguf", requests}, 2, "/nowhere.gguf");
  ExpectError({"batch", Model(), requests, "--engine", "/nowhere"}, 127, "/nowhere");
  tree_.File("results.jsonl", R"({"id":"batch_req_1","custom_id":"of another","response":null,"error":null})"
                              "\n");
  ExpectError({"batch", Model(), requests}, 2, "results of other requests");
  EXPECT_TRUE(Has(ResultsText(), "of another"));
}

TEST_F(Batches, TooLittleMemoryIsSaidWithTheArithmetic) {
  WriteRequests(Completions(3, 10));
  ExpectError(Command({"--ram", "20M"}), 2, "20.0 MiB (--ram) is too little");
}

// Two machines, one of which is interrupted; what they wrote as one file.
TEST_F(Batches, ShardsHaveEachRequestOnceAndAreJoined) {
  std::string requests = Completions(5, 4) + "{bad\n";
  WriteRequests(requests);
  const auto one = Batch({"--shard", "1/2"});
  EXPECT_EQ(one.status, 0) << one.err;
  const std::string first = tree_.Path("results-1-of-2.jsonl"), second = tree_.Path("results-2-of-2.jsonl");
  const std::string file = tree_.Path("requests.jsonl");
  ExpectError({"batch", file, "--join", first, second}, 2, "results-2-of-2.jsonl");
  ExpectError({"batch", file, "--shard", "1/2", "--join", first}, 2, "--shard excludes --join");
  ExpectError({"batch", file, "--retry-errors", "--join", first}, 2, "--join");
  ExpectError({"batch", file, "--join", first}, 2, "3 of 6 requests have no result in these files: line 2, line 4");
  ExpectError(Command({"--shard", "2/2", "-o", first}), 2, "does not belong to shard 2 of 2");
  ExpectError(Command({"--shard", "3/2"}), 2, "--shard");
  EXPECT_EQ(Batch({"--shard", "2/2"}).status, 0);
  // A result that was cut off by a power loss, and one that is there twice.
  const std::string again = tree_.File("again.jsonl", "{\"id\":\"batch_req_1");
  const auto joined = Run({"batch", file, "--join", first, second, first, again});
  EXPECT_EQ(joined.status, 0) << joined.err;
  EXPECT_TRUE(Has(joined.err, "6 results, 1 of them errors, 3 more left out")) << joined.err;
  EXPECT_TRUE(Has(joined.err, "1 lines left out")) << joined.err;
  const auto results = Results();
  ASSERT_EQ(results.size(), 6u);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(results[i]["custom_id"], "r" + std::to_string(i));
  EXPECT_EQ(results[5]["error"]["code"], "invalid_request");
  ExpectError({"batch", file, "--join", first, second}, 2, "--overwrite");
  tree_.File("other.jsonl", R"({"id":"batch_req_1","custom_id":"x","response":null,"error":{"code":"c","message":"m"}})"
                            "\n");
  ExpectError({"batch", file, "--join", tree_.Path("other.jsonl"), "--overwrite"}, 2, "no request has the custom_id");
  EXPECT_EQ(Results().size(), 6u);
}

}  // namespace
}  // namespace headrace::batch
