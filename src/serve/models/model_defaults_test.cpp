#include "serve/models/model_defaults.h"

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

cli::ModelfileUse Use(const std::string& text) {
  cli::ModelfileUse use;
  use.path = "/m/Modelfile";
  const auto file = cli::ParseModelfile(text, use.path);
  EXPECT_TRUE(file.ok()) << file.status().message();
  use.file = *file;
  return use;
}

constexpr const char* kText =
    "SYSTEM Be brief.\nFLASH on\nFLASH_RAM_GB 1.5\nFLASH_PREFETCH_LAYERS 0\nPARAMETER temperature 0.7\nPARAMETER "
    "num_ctx 512\nMESSAGE user Hello\n";

TEST(ModelDefaults, OfAModelfile) {
  const auto defaults = DefaultsOf(Use(kText), Catalogue(), ModelConfig());
  ASSERT_TRUE(defaults.ok());
  EXPECT_EQ(defaults->context_length, 512u);
  EXPECT_EQ(defaults->look_ahead, false);
  ASSERT_EQ(defaults->options.size(), 1u) << "the context is no option of these";
  EXPECT_EQ(defaults->options[0].value, "0.7");
  EXPECT_EQ(defaults->applied, (std::vector<std::string>{"FLASH on", "FLASH_RAM_GB 1.5", "FLASH_PREFETCH_LAYERS 0",
                                                         "temperature 0.7", "num_ctx 512"}));
  ASSERT_EQ(defaults->notes.size(), 2u);
  EXPECT_NE(defaults->notes[0].find("SYSTEM \"Be brief.\" is not applied"), std::string::npos) << defaults->notes[0];
  EXPECT_NE(defaults->notes[1].find("/m/Modelfile:7: MESSAGE is ignored"), std::string::npos) << defaults->notes[1];
  const ModelConfig config = WithFlash(ModelConfig(), Use(kText).file);
  EXPECT_EQ(config.flash_mode, FlashMode::kOn);
  EXPECT_EQ(config.flash_ram_gb, 1.5);
}

TEST(ModelDefaults, WhatWasAskedForGoesBefore) {
  ModelConfig asked;
  asked.flash_mode = FlashMode::kOff;
  asked.flash_ram_gb = 2;
  asked.context_length = 1024;
  EXPECT_EQ(WithFlash(asked, Use(kText).file), asked);
  const auto defaults = DefaultsOf(Use(kText), Catalogue(), asked);
  ASSERT_TRUE(defaults.ok());
  EXPECT_EQ(defaults->applied, (std::vector<std::string>{"FLASH_PREFETCH_LAYERS 0", "temperature 0.7"}));
  EXPECT_EQ(defaults->notes[1], "FLASH on is not applied: flash_mode of the model's configuration goes before it");
  EXPECT_EQ(defaults->notes.size(), 5u);
}

TEST(ModelDefaults, MemoryOfDevices) {
  EXPECT_EQ(WithFlash(ModelConfig(), Use("FLASH_VRAM_GB 2").file).vram_gb, "2.000000G");
  ModelConfig asked;
  asked.vram_gb = "off";
  EXPECT_EQ(WithFlash(asked, Use("FLASH_VRAM_GB 2").file).vram_gb, "off");
  EXPECT_EQ(
      DefaultsOf(Use("FLASH_VRAM_GB 2"), Catalogue(), asked)->notes,
      std::vector<std::string>{"FLASH_VRAM_GB 2 is not applied: vram_gb of the model's configuration goes before it"});
}

TEST(ModelDefaults, NoModelfileOrOneThatCannotBe) {
  const auto none = DefaultsOf(cli::ModelfileUse(), Catalogue(), ModelConfig());
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->path.empty() && none->options.empty() && none->notes.empty());
  EXPECT_EQ(WithFlash(ModelConfig(), cli::Modelfile()), ModelConfig());
  EXPECT_FALSE(DefaultsOf(Use("FLASH_TOP_K 4\n"), Catalogue(), ModelConfig()).ok()) << "of a model without experts";
}

}  // namespace
}  // namespace headrace::serve
