#include "models/modelfile.h"

#include <random>

#include <gtest/gtest.h>

#include "models/modelfile_lines.h"

namespace headrace::cli {
namespace {

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Modelfile Parsed(std::string_view text) {
  auto file = ParseModelfile(text, "Modelfile");
  EXPECT_TRUE(file.ok()) << file.status().message();
  return file.ok() ? std::move(*file) : Modelfile();
}

// The message of the error, which begins with the line's place.
void ExpectError(std::string_view text, size_t line, const std::string& part) {
  const auto file = ParseModelfile(text, "Modelfile");
  ASSERT_FALSE(file.ok()) << text;
  EXPECT_EQ(file.status().code(), Code::kInvalidArgument);
  EXPECT_TRUE(file.status().message().starts_with("Modelfile:" + std::to_string(line) + ": "))
      << file.status().message();
  EXPECT_TRUE(Has(file.status().message(), part)) << file.status().message();
}

std::string ValueOf(const Modelfile& file, const std::string& name) {
  for (const EngineOption& option : file.options) {
    if (option.names.front() == name) return option.value;
  }
  return "(none)";
}

TEST(ParseModelfile, AllThatHasAMeaning) {
  const Modelfile file = Parsed(R"(# a comment
FROM ./model.gguf

SYSTEM You are "Jane".
PARAMETER temperature 0.7
PARAMETER top_k 20
PARAMETER num_ctx 8192
PARAMETER stop "<|end|>"
PARAMETER stop   Human:
ADAPTER ./lora.gguf
FLASH on
FLASH_RAM_GB 6.5
FLASH_VRAM_GB 7.5
FLASH_PREFETCH_LAYERS 0
FLASH_TOP_K 4
FLASH_EVICTION heat
LICENSE """
MIT
"""
)");
  EXPECT_EQ(file.from, "./model.gguf");
  EXPECT_EQ(file.system, "You are \"Jane\".");
  EXPECT_EQ(file.adapter, "./lora.gguf");
  EXPECT_EQ(file.flash_mode, FlashMode::kOn);
  EXPECT_DOUBLE_EQ(file.flash_ram_gb, 6.5);
  EXPECT_EQ(file.flash_vram, "7.500000G");
  EXPECT_EQ(file.look_ahead, false);
  EXPECT_EQ(file.experts_used, 4u);
  EXPECT_EQ(ValueOf(file, "--temp"), "0.7");
  EXPECT_EQ(ValueOf(file, "--top-k"), "20");
  EXPECT_EQ(ValueOf(file, "-c"), "8192");
  std::vector<std::string> stops;
  for (const EngineOption& option : file.options) {
    if (option.names.front() == std::string("-r")) stops.push_back(option.value);
  }
  EXPECT_EQ(stops, (std::vector<std::string>{"<|end|>", "Human:"}));
  EXPECT_TRUE(file.warnings.empty());
  EXPECT_EQ(file.settings.size(), 13u);
}

TEST(ParseModelfile, AnEmptyFileSetsNothing) {
  for (const char* text : {"", "\n\n", "# only this", "\xef\xbb\xbf# with a mark", "  \t \r\n"})
    EXPECT_TRUE(Parsed(text).settings.empty());
}

TEST(ParseModelfile, KeywordsInAnyCaseAndWindowsLines) {
  const Modelfile file = Parsed(
      "\xef\xbb\xbf"
      "from C.gguf\r\nParameter TEMPERATURE 1\r\nflash OFF\r\nsystem \"\"\"one\r\ntwo\r\nthree\"\"\"\r\n");
  EXPECT_EQ(file.from, "C.gguf");
  EXPECT_EQ(ValueOf(file, "--temp"), "1");
  EXPECT_EQ(file.flash_mode, FlashMode::kOff);
  EXPECT_EQ(file.system, "one\ntwo\nthree");
}

TEST(ParseModelfile, Quotes) {
  EXPECT_EQ(Parsed("SYSTEM \"\"\"\n# no comment\nFROM here\n\"\"\"\nFROM x").system, "\n# no comment\nFROM here\n");
  EXPECT_EQ(Parsed("SYSTEM \"\"\"a \"quoted\" word\"\"\"").system, "a \"quoted\" word");
  EXPECT_EQ(Parsed("SYSTEM \"one\ntwo\"").system, "one\ntwo");
  EXPECT_EQ(Parsed("SYSTEM \"\"").system, "");
  EXPECT_EQ(Parsed("SYSTEM \"\"\"\"\"\"").system, "");
  EXPECT_EQ(Parsed("SYSTEM   blanks around  ").system, "blanks around");
  EXPECT_EQ(Parsed("PARAMETER stop \" of\"").options.front().value, " of");
  ExpectError("FROM x\nSYSTEM \"\"\"no end\nFROM y\n", 2, "has no end; close it with \"\"\"");
  ExpectError("SYSTEM \"no end\nFROM y\n", 1, "has no end");
  ExpectError("PARAMETER stop \"no end\nPARAMETER stop \"x\"", 1, "has no end");
}

TEST(ParseModelfile, TheLastOfANameCounts) {
  const Modelfile file = Parsed("PARAMETER top_k 1\nPARAMETER top_k 2\nSYSTEM a\nSYSTEM b\nFLASH on\nFLASH auto");
  EXPECT_EQ(file.options.size(), 1u);
  EXPECT_EQ(ValueOf(file, "--top-k"), "2");
  EXPECT_EQ(file.system, "b");
  EXPECT_EQ(file.flash_mode, FlashMode::kAuto);
  EXPECT_EQ(file.settings.size(), 3u);
  ExpectError("ADAPTER a\nADAPTER b", 2, "second ADAPTER");
}

TEST(ParseModelfile, UnknownNamesListTheKnownOnes) {
  ExpectError("\nFLASH_SPEED 9", 2,
              "FLASH, FLASH_RAM_GB, FLASH_VRAM_GB, FLASH_THREADS, FLASH_PREFETCH_LAYERS, FLASH_TOP_K, FLASH_EVICTION");
  ExpectError("FLASHY on", 1, "FLASH_RAM_GB");
  ExpectError("FORM x", 1, "FROM, SYSTEM, PARAMETER");
  ExpectError("PARAMETER temprature 1", 1, "temperature, top_k");
  ExpectError("PARAMETER flash_attn 1", 1, "after -- on the command line");
}

TEST(ParseModelfile, ValuesThatHaveNoMeaningSayWhy) {
  ExpectError("FLASH maybe", 1, "auto, on or off");
  for (const char* value : {"0", "-1", "8G", "nan", "inf", "1e99", "many"})
    ExpectError(std::string("FLASH_RAM_GB ") + value, 1, "GiB");
  for (const char* value : {"0", "-1", "8G", "nan", "on"}) ExpectError(std::string("FLASH_VRAM_GB ") + value, 1, "GiB");
  ExpectError("FLASH_THREADS 8", 1, "PARAMETER num_thread");
  ExpectError("FLASH_PREFETCH_LAYERS 3", 1, "one layer ahead");
  ExpectError("FLASH_PREFETCH_LAYERS x", 1, "0 or 1");
  ExpectError("FLASH_EVICTION lru", 1, "docs/experts-policy.md");
  ExpectError("FLASH_TOP_K 0", 1, "from 1");
  ExpectError("PARAMETER temperature hot", 1, "temperature hot is not understood; write a number from 0");
  ExpectError("PARAMETER top_k 1.5", 1, "whole number");
  ExpectError("PARAMETER top_p 2", 1, "from 0 to 1");
  ExpectError("PARAMETER num_ctx 0", 1, "from 1");
  ExpectError("PARAMETER use_mmap maybe", 1, "true or false");
  ExpectError("PARAMETER num_gqa many", 1, "write a number");
  ExpectError("PARAMETER num_gpu -2", 1, "from -1");
  ExpectError("FROM", 1, "FROM has no value");
  ExpectError("PARAMETER stop", 1, "PARAMETER stop has no value");
  ExpectError("FROM \"\"", 1, "GGUF");
}

TEST(ParseModelfile, WhatIsLeftOutIsSaid) {
  const Modelfile file =
      Parsed("TEMPLATE \"\"\"{{ .Prompt }}\n\"\"\"\nMESSAGE user Hello\nREQUIRES 0.6\nFROM a\nFROM b");
  ASSERT_EQ(file.warnings.size(), 3u);
  EXPECT_EQ(file.from, "a");
  EXPECT_TRUE(file.warnings[2].starts_with("Modelfile:6: the second FROM, b, is ignored")) << file.warnings[2];
  EXPECT_TRUE(file.warnings[0].starts_with("Modelfile:1: TEMPLATE is ignored")) << file.warnings[0];
  EXPECT_TRUE(file.warnings[1].starts_with("Modelfile:3: MESSAGE is ignored")) << file.warnings[1];
}

// All that Ollama knows or knew.
TEST(ParseModelfile, ParametersWithoutEffectAreLeftOut) {
  for (const char* text : {"use_mmap true", "use_mmap false", "use_mlock TRUE", "low_vram 1", "f16_kv t", "numa false",
                           "vocab_only F", "logits_all 0", "embedding_only false", "penalize_newline true", "tfs_z 1.0",
                           "num_gqa 8", "draft_num_predict 4"}) {
    const Modelfile file = Parsed(std::string("PARAMETER ") + text);
    ASSERT_EQ(file.warnings.size(), 1u) << text;
    const std::string name(text, std::string_view(text).find(' '));
    EXPECT_TRUE(file.warnings[0].starts_with("Modelfile:1: PARAMETER " + name + " is ignored: ")) << file.warnings[0];
    EXPECT_TRUE(file.options.empty() && file.settings.empty()) << text;
  }
}

// Ollama's words for "as if it was not there".
TEST(ParseModelfile, ParametersThatUnset) {
  for (const char* text : {"PARAMETER num_gpu -1", "PARAMETER num_thread 0",
                           "PARAMETER num_gpu 5\nPARAMETER num_gpu -1", "PARAMETER rope_frequency_base 0"}) {
    const Modelfile file = Parsed(text);
    EXPECT_TRUE(file.options.empty() && file.settings.empty() && file.warnings.empty()) << text;
  }
  EXPECT_EQ(ValueOf(Parsed("PARAMETER rope_frequency_base 1000000"), "--rope-freq-base"), "1000000");
  EXPECT_EQ(ValueOf(Parsed("PARAMETER num_ctx 4e3"), "-c"), "4000") << "the engine would read 4";
}

// As `ollama show --modelfile` writes a stop text with a line break.
TEST(ParseModelfile, AStopTextOverTwoLines) {
  EXPECT_EQ(Parsed("PARAMETER stop \"\n\"\nPARAMETER top_k 1").options.front().value, "\n");
  EXPECT_EQ(Parsed("PARAMETER stop \"User:\n\"").options.front().value, "User:\n");
  EXPECT_EQ(Parsed("PARAMETER stop \"\"\"say \"no\"\n\"\"\"").options.front().value, "say \"no\"\n");
}

TEST(ParseModelfile, NulAndLengthAreErrors) {
  ExpectError(std::string_view("FROM x\nSYS\0TEM", 14), 2, "NUL");
  EXPECT_FALSE(ParseModelfile(std::string(kMostModelfileBytes + 1, 'x'), "m").ok());
  // A line of nearly a mebibyte is only long.
  const std::string line = "SYSTEM " + std::string(1'000'000, 'x');
  EXPECT_EQ(Parsed(line).system.size(), 1'000'000u);
  EXPECT_LT(Parsed(line).settings.front().size(), 100u);
  const auto unknown = ParseModelfile(std::string(1'000'000, 'y') + " x", "m");
  ASSERT_FALSE(unknown.ok());
  EXPECT_LT(unknown.status().message().size(), 400u);
}

// Whatever bytes come: a value or an error of one printable line, never a crash.
TEST(ParseModelfile, HostileInput) {
  const std::string seed =
      "FROM ./m.gguf\nSYSTEM \"\"\"a\nb\"\"\"\nPARAMETER temperature 0.5\nPARAMETER stop \"x\"\nFLASH on\nFLASH_RAM_GB "
      "4\n"
      "FLASH_TOP_K 2\nMESSAGE user hi\n# c\n";
  const std::string alphabet(
      "\0\n\r\t \"#\xff\x80\x1b"
      "FLASHPARAMETER_0123456789.-e",
      38);
  std::mt19937 random(1);
  size_t errors = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = seed;
    for (unsigned changes = random() % 8 + 1; changes > 0; --changes) {
      const size_t at = random() % (text.size() + 1);
      const std::string bytes(random() % 3 == 0 ? random() % 50 : 1, alphabet[random() % alphabet.size()]);
      switch (random() % 3) {
        case 0:
          text.insert(at, bytes);
          break;
        case 1:
          text.erase(at, random() % 20);
          break;
        default:
          text.replace(at, std::min(bytes.size(), text.size() - at), bytes);
      }
    }
    const auto file = ParseModelfile(text, "m");
    if (file.ok()) continue;
    ++errors;
    const std::string& message = file.status().message();
    ASSERT_TRUE(message.starts_with("m:")) << message;
    for (const char c : message) ASSERT_TRUE(c >= 0x20 && c < 0x7f) << message;
  }
  EXPECT_GT(errors, 5'000u);
  EXPECT_LT(errors, 20'000u);
}

}  // namespace
}  // namespace headrace::cli
