#include "batch_runner.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include <fmt/format.h>

namespace headrace::batch {
namespace {

constexpr std::array<const char*, 6> kPrompts = {"It is a truth", "He was",      "She had never",
                                                 "Mr. Darcy",     "The evening", "I am"};

}  // namespace

Json BatchTest::Completion(const std::string& custom_id, const std::string& prompt, int tokens) {
  return {{"custom_id", custom_id},
          {"method", "POST"},
          {"url", "/v1/completions"},
          {"body",
           {{"prompt", prompt}, {"max_tokens", tokens}, {"temperature", 0}, {"ignore_eos", true}, {"model", "any"}}}};
}

std::string BatchTest::Completions(int count, int tokens) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text += Completion(fmt::format("r{}", i), kPrompts[static_cast<size_t>(i) % kPrompts.size()], tokens).dump() + "\n";
  return text;
}

std::vector<std::string> BatchTest::Command(std::vector<std::string> more) const {
  std::vector<std::string> words = {"batch", Model(), tree_.Path("requests.jsonl")};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::string BatchTest::ResultsText() const {
  std::ifstream file(ResultsPath(), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<Json> BatchTest::Results() const {
  const std::string text = ResultsText();
  EXPECT_TRUE(text.empty() || text.ends_with('\n')) << text;
  std::vector<Json> results;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    results.push_back(Json::parse(line, nullptr, false));
    EXPECT_TRUE(results.back().is_object()) << line;
  }
  return results;
}

std::map<std::string, Json> BatchTest::ResultsById() const {
  std::map<std::string, Json> by_id;
  for (const Json& result : Results()) {
    if (!result["custom_id"].is_string()) continue;
    EXPECT_TRUE(by_id.emplace(result["custom_id"], result).second) << result;
  }
  return by_id;
}

std::map<std::string, std::string> BatchTest::Texts() const {
  std::map<std::string, std::string> texts;
  for (const auto& [id, result] : ResultsById()) {
    EXPECT_TRUE(result["error"].is_null()) << result;
    const Json response = result["response"];
    EXPECT_EQ(response.value("status_code", 0), 200) << result;
    texts[id] =
        response.value("status_code", 0) == 200 ? response["body"]["choices"][0]["text"].get<std::string>() : "";
  }
  return texts;
}

void BatchTest::ExpectAllAnswered(size_t count) const {
  const auto texts = Texts();
  EXPECT_EQ(texts.size(), count);
  EXPECT_EQ(Results().size(), count);
  std::set<std::string> beginnings;
  for (const auto& [id, text] : texts) {
    const size_t number = std::stoul(id.substr(1));
    const auto first = texts.find(fmt::format("r{}", number % kPrompts.size()));
    if (first == texts.end()) continue;
    EXPECT_EQ(Beginning(text), Beginning(first->second)) << id;
    beginnings.insert(Beginning(text));
  }
  EXPECT_EQ(beginnings.size(), std::min(count, kPrompts.size())) << "each prompt has its own answer";
}

size_t BatchTest::Lines() const {
  const std::string text = ResultsText();
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace headrace::batch
