#include "engine/engine_program.h"

#include <gtest/gtest.h>

namespace headrace::cli {
namespace {

TEST(EngineProgram, ByItsName) {
  EXPECT_EQ(RecognizeProgram("/usr/bin/llama-server", {"-m", "x"}).kind, ProgramKind::kServer);
  EXPECT_EQ(RecognizeProgram("llama-cli", {}).kind, ProgramKind::kGenerator);
  EXPECT_EQ(RecognizeProgram("llama-bench", {}).kind, ProgramKind::kEngine);
  for (const char* other : {"/bin/sh", "my-llama-server", "llama.sh", "llamafile", ""})
    EXPECT_EQ(RecognizeProgram(other, {"serve"}).kind, ProgramKind::kOther) << other;
}

TEST(EngineProgram, TheOneForAllIsTheOneThatItsFirstWordNames) {
  const EngineProgram server = RecognizeProgram("/opt/bin/llama", {"serve", "-m", "x"});
  EXPECT_TRUE(server.generates());
  EXPECT_EQ(server.kind, ProgramKind::kServer);
  EXPECT_EQ(server.command_words, 1u);
  EXPECT_EQ(RecognizeProgram("llama", {"server"}).kind, ProgramKind::kServer);
  EXPECT_EQ(RecognizeProgram("llama", {"complete"}).kind, ProgramKind::kGenerator);
  EXPECT_EQ(RecognizeProgram("llama", {"bench"}).kind, ProgramKind::kEngine);
  EXPECT_EQ(RecognizeProgram("llama", {"download"}).kind, ProgramKind::kOther);
  EXPECT_EQ(RecognizeProgram("llama", {"--version"}).command_words, 0u);
  EXPECT_EQ(RecognizeProgram("llama", {}).kind, ProgramKind::kOther);
}

}  // namespace
}  // namespace headrace::cli
