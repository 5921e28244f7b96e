#include "batch/result_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>

#include "base/temporary_tree.h"
#include "batch/line_reader.h"

namespace headrace::batch {
namespace {

class Files : public testing::Test {
 protected:
  // Requests "a", "b", ... one on each line.
  void Requests(const std::string& ids, const std::string& more = "") {
    std::string text;
    for (const char id : ids)
      text +=
          std::string(R"({"custom_id": ")") + id + R"(", "url": "/v1/completions", "body": {"prompt": "x"}})" + "\n";
    Read(text + more);
  }
  void Read(const std::string& text) {
    auto opened = RequestFile::Open(tree_.File("requests.jsonl", text));
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    requests_.emplace(std::move(*opened));
  }
  Result<ResultFile> Open(Existing existing = Existing::kResume) {
    return ResultFile::Open(path_, *requests_, existing);
  }
  std::string Problem(Existing existing = Existing::kResume) {
    const auto results = Open(existing);
    return results.ok() ? "" : results.status().message();
  }
  const RequestEntry& Entry(size_t i) const { return requests_->entries().at(i); }
  std::string Text() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void Write(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }

  TemporaryTree tree_;
  const std::string path_ = tree_.Path("results.jsonl");
  std::optional<RequestFile> requests_;
};

TEST_F(Files, RequestsOfAllKinds) {
  Read(
      "\xef\xbb\xbf{\"custom_id\": \"a\", \"url\": \"/v1/completions\", \"body\": {\"prompt\": \"x\"}}\r\n\n  "
      "\r\n{bad\n"
      "{\"custom_id\": \"a\", \"url\": \"/v1/completions\", \"body\": {}}\n{\"custom_id\": \"b\", \"url\": "
      "\"/v1/embeddings\", \"body\": {}}");
  ASSERT_EQ(requests_->entries().size(), 4u);
  EXPECT_EQ(Entry(0).problem, "");
  EXPECT_EQ(requests_->Read(Entry(0))->body["prompt"], "x");
  EXPECT_NE(Entry(1).problem.find("line 4"), std::string::npos) << Entry(1).problem;
  EXPECT_NE(Entry(2).problem.find("that of line 1"), std::string::npos) << Entry(2).problem;
  EXPECT_EQ(Entry(2).custom_id, "") << "the first one's";
  EXPECT_EQ(Entry(3).problem, "") << "without a line break at the end";
  EXPECT_EQ(Entry(3).id(), "batch_req_6");
}

TEST_F(Files, AnEmptyFileHasNone) {
  Read("");
  EXPECT_TRUE(requests_->entries().empty());
  Read("\n\n");
  EXPECT_TRUE(requests_->entries().empty());
}

TEST_F(Files, ALineThatIsTooLong) {
  Read(std::string(kLongestLine + 1, ' ') + "\n" + R"({"custom_id": "b", "url": "/v1/completions", "body": {}})");
  ASSERT_EQ(requests_->entries().size(), 2u);
  EXPECT_NE(Entry(0).problem.find("longer than 64 MiB"), std::string::npos) << Entry(0).problem;
  EXPECT_TRUE(requests_->Read(Entry(1)).ok());
}

TEST_F(Files, ARequestThatChanged) {
  Requests("ab");
  std::ofstream(tree_.Path("requests.jsonl")) << "something else";
  EXPECT_EQ(requests_->Read(Entry(0)).status().code(), Code::kChanged);
  EXPECT_EQ(requests_->Read(Entry(1)).status().code(), Code::kChanged);
}

TEST_F(Files, WhatIsDoneIsFoundAgain) {
  Requests("abc", "{bad\n");
  {
    auto results = Open();
    ASSERT_TRUE(results.ok()) << results.status().message();
    EXPECT_FALSE(results->Has(Entry(0)));
    ASSERT_TRUE(results->Append(ErrorLine(Entry(3), "invalid_request", "no JSON")).ok());
    ASSERT_TRUE(results->Append(ResponseLine(Entry(1), 200, R"({"id": "x-1", "text": "yes"})")).ok());
    EXPECT_TRUE(results->Sync().ok());
  }
  EXPECT_EQ(
      Text(),
      R"({"id":"batch_req_4","custom_id":null,"response":null,"error":{"code":"invalid_request","message":"no JSON"}})"
      "\n"
      R"({"id":"batch_req_2","custom_id":"b","response":{"status_code":200,"request_id":"x-1","body":{"id":"x-1","text":"yes"}},"error":null})"
      "\n");
  const auto again = Open();
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_FALSE(again->Has(Entry(0)));
  EXPECT_TRUE(again->Has(Entry(1)));
  EXPECT_FALSE(again->Has(Entry(2)));
  EXPECT_TRUE(again->Has(Entry(3)));
}

TEST_F(Files, ATornLineIsCutOff) {
  Requests("ab");
  const std::string whole = ResponseLine(Entry(0), 200, "{}"), torn = ResponseLine(Entry(1), 200, "{}");
  for (size_t length = 0; length < torn.size(); ++length) {
    Write(whole + torn.substr(0, length));
    const auto results = Open();
    ASSERT_TRUE(results.ok()) << length << ": " << results.status().message();
    EXPECT_TRUE(results->Has(Entry(0)));
    EXPECT_FALSE(results->Has(Entry(1)));
    EXPECT_EQ(Text(), whole);
  }
}

// After a power loss a file system may have the length of a file and zeros where its last bytes were not on the disk
// yet.
TEST_F(Files, ZerosOfAPowerLossAreTakenOut) {
  Requests("abc");
  const std::string a = ResponseLine(Entry(0), 200, "{}"), b = ResponseLine(Entry(1), 200, "{}"),
                    c = ResponseLine(Entry(2), 200, "{}");
  const std::string zeros(4096, '\0');
  struct Case {
    std::string text, left;
    uint64_t damaged;
  };
  std::string hole = b;
  std::fill(hole.begin() + 30, hole.end() - 10, '\0');
  const Case cases[] = {{a + zeros, a, 1},
                        {a + b.substr(0, 40) + zeros, a, 1},
                        {a + hole, a, 1},
                        {a + hole + c, a + c, 1},                  // what was done behind it is kept
                        {a + zeros + b.substr(20) + c, a + c, 1},  // its beginning is gone
                        {zeros + a.substr(20) + b, b, 1},
                        {a + hole + hole + c + zeros, a + c, 3},
                        {zeros, "", 1},
                        {hole, "", 1}};
  for (const Case& it : cases) {
    for (const Existing existing : {Existing::kResume, Existing::kRetryErrors}) {
      Write(it.text);
      const auto results = Open(existing);
      ASSERT_TRUE(results.ok()) << results.status().message();
      EXPECT_EQ(Text(), it.left);
      EXPECT_EQ(results->damaged(), it.damaged);
      EXPECT_EQ(results->Has(Entry(0)), it.left.find(a) != it.left.npos);
      EXPECT_FALSE(results->Has(Entry(1)) && it.left.find(b) == it.left.npos);
      EXPECT_EQ(results->Has(Entry(2)), it.left.find(c) != it.left.npos);
    }
  }
  // A disk image begins with zeros too.
  for (const std::string& image : {zeros + "data", zeros + "data\n" + zeros, "data" + zeros}) {
    Write(image);
    EXPECT_NE(Problem().find("--overwrite"), std::string::npos);
    EXPECT_EQ(Text(), image);
  }
}

// Taking failed results out puts a new file in the old one's place. Where the power goes before that is on the disk,
// both are there under their own names.
TEST_F(Files, AReplacementThatWasLost) {
  Requests("ab");
  const std::string failed = ErrorLine(Entry(0), "engine_crashed", "x"), good = ResponseLine(Entry(1), 200, "{}");
  Write(failed + good);
  tree_.File("results.jsonl.Ab12Cd", good + ResponseLine(Entry(0), 200, "{}"));
  auto results = Open(Existing::kRetryErrors);
  ASSERT_TRUE(results.ok()) << results.status().message();
  EXPECT_FALSE(results->Has(Entry(0)));
  EXPECT_TRUE(results->Has(Entry(1)));
  EXPECT_EQ(Text(), good);
}

TEST_F(Files, OthersResultsAreLeftAlone) {
  Requests("ab");
  const std::string sound = ResponseLine(Entry(0), 200, "{}");
  Requests("bc");
  const std::string others[] = {sound, "notes of mine", "{\"a\": 1}\n", sound + "\n", sound + "half a line of notes"};
  for (const std::string& text : others) {
    Write(text);
    EXPECT_NE(Problem().find("--overwrite"), std::string::npos) << text;
    EXPECT_NE(Problem(Existing::kRetryErrors), "");
    EXPECT_EQ(Text(), text);
  }
  EXPECT_NE(Problem().find("\"a\""), std::string::npos);
  EXPECT_EQ(Problem(Existing::kOverwrite), "");
  EXPECT_EQ(Text(), "");
}

TEST_F(Files, TheRequestsThemselvesAreNoPlaceForResults) {
  Requests("ab");
  const auto results = ResultFile::Open(tree_.Path("requests.jsonl"), *requests_, Existing::kOverwrite);
  ASSERT_FALSE(results.ok());
  EXPECT_NE(results.status().message().find("holds the requests"), std::string::npos);
  EXPECT_TRUE(requests_->Read(Entry(0)).ok());
}

TEST_F(Files, OnlyOneWrites) {
  Requests("ab");
  const auto first = Open();
  ASSERT_TRUE(first.ok());
  for (const Existing existing : {Existing::kResume, Existing::kRetryErrors, Existing::kOverwrite}) {
    EXPECT_NE(Problem(existing).find("another batch"), std::string::npos);
  }
}

TEST_F(Files, ErrorsAreTakenOutToBeDoneAgain) {
  Requests("abc", "{bad\n");
  const std::string good = ResponseLine(Entry(1), 200, "{}");
  Write(ErrorLine(Entry(0), "engine_crashed", "x") + good + ResponseLine(Entry(2), 400, "{}") +
        ErrorLine(Entry(3), "invalid_request", "x"));
  auto results = Open(Existing::kRetryErrors);
  ASSERT_TRUE(results.ok()) << results.status().message();
  EXPECT_EQ(Text(), good);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(results->Has(Entry(i)), i == 1);
  EXPECT_NE(Problem().find("another batch"), std::string::npos) << "still locked";
  ASSERT_TRUE(results->Append(ResponseLine(Entry(0), 200, "{}")).ok());
  EXPECT_EQ(Text(), good + ResponseLine(Entry(0), 200, "{}"));
}

// A limit on the size of files stands for a disk that is full: a write is partly done, the next fails.
TEST_F(Files, ALineIsWrittenWholeOrNotAtAll) {
  Requests("ab");
  auto results = Open();
  ASSERT_TRUE(results.ok());
  const std::string first = ResponseLine(Entry(0), 200, "{}");
  ASSERT_TRUE(results->Append(first).ok());
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{first.size() + 10, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &tight);
  const Status failed = results->Append(ResponseLine(Entry(1), 200, "{}"));
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(failed.code(), Code::kIo);
  EXPECT_NE(failed.message().find(path_), std::string::npos) << failed.message();
  EXPECT_EQ(Text(), first);
  EXPECT_TRUE(results->Append(ResponseLine(Entry(1), 200, "{}")).ok());
  EXPECT_EQ(Text(), first + ResponseLine(Entry(1), 200, "{}"));
}

TEST_F(Files, AnswersAsTheEngineSentThem) {
  Requests("a");
  const Json line = Json::parse(ResponseLine(Entry(0), 500, "no JSON \xff"));
  EXPECT_TRUE(line["response"]["body"].is_string());
  EXPECT_EQ(line["response"]["request_id"], "batch_req_1");
  const auto key = ParseResult(ResponseLine(Entry(0), 500, "{}"));
  ASSERT_TRUE(key.ok());
  EXPECT_TRUE(key->failed);
  EXPECT_FALSE(ParseResult("{}").ok());
  EXPECT_FALSE(ParseResult(R"({"id": "x", "custom_id": 7, "response": null, "error": null})").ok());
}

}  // namespace
}  // namespace headrace::batch
