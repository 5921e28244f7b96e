// The fixture of the tests that read GGUF files. Not part of any library.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "gguf/catalogue.h"
#include "gguf/gguf_builder.h"

#ifndef HEADRACE_SOURCE_DIR
#error "The tests need the root of the source tree as HEADRACE_SOURCE_DIR"
#endif

namespace headrace {

// A directory of its own for each test, removed afterwards.
class GgufTest : public testing::Test {
 protected:
  GgufTest() {
    std::string pattern = testing::TempDir() + "/headrace-gguf-XXXXXX";
    if (::mkdtemp(pattern.data()) != nullptr) directory_ = pattern;
  }
  ~GgufTest() override {
    std::error_code ignored;
    if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
  }
  void SetUp() override { ASSERT_FALSE(directory_.empty()) << "no temporary directory"; }

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }

  std::string WriteText(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name), std::ios::binary) << text;
    return Path(name);
  }

  Result<Catalogue> Read(const GgufBuilder& builder) const {
    EXPECT_TRUE(builder.Write(Path("model.gguf")));
    return ReadCatalogue(Path("model.gguf"));
  }

  // Expects this failure of that file: a message of one line, with the path first and the fragment in it.
  static void ExpectRefused(const std::string& path, Code code, const std::string& fragment) {
    const Result<Catalogue> catalogue = ReadCatalogue(path);
    ASSERT_FALSE(catalogue.ok()) << "accepted; expected: " << fragment;
    const std::string& message = catalogue.status().message();
    EXPECT_EQ(static_cast<int>(catalogue.status().code()), static_cast<int>(code)) << message;
    EXPECT_NE(message.find(fragment), std::string::npos) << message << "\nlacks: " << fragment;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_TRUE(message.starts_with(path.substr(0, path.find("-0000")))) << message;
    EXPECT_TRUE(message.ends_with('.')) << message;
  }
  void ExpectRefused(const GgufBuilder& builder, Code code, const std::string& fragment) const {
    EXPECT_TRUE(builder.Write(Path("model.gguf")));
    ExpectRefused(Path("model.gguf"), code, fragment);
  }

  static std::string Model(const std::string& name) { return std::string(HEADRACE_SOURCE_DIR) + "/models/" + name; }

 private:
  std::string directory_;
};

}  // namespace headrace
