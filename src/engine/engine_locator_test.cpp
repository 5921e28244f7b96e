#include "engine/engine_locator.h"

#include <gtest/gtest.h>

#include "base/temporary_tree.h"

namespace headrace::cli {
namespace {

class EngineLocator : public testing::Test {
 protected:
  TemporaryTree tree_;
  SearchPaths paths_{"", "", tree_.Path("data"), tree_.Path("src/build/release/src"),
                     tree_.Path("path1") + ":" + tree_.Path("path2")};
};

TEST_F(EngineLocator, NothingSaysWhatToDo) {
  const auto engine = LocateEngine(paths_);
  ASSERT_FALSE(engine.ok());
  EXPECT_EQ(engine.status().code(), Code::kNotFound);
  EXPECT_NE(engine.status().message().find("headrace engine install"), std::string::npos);
}

TEST_F(EngineLocator, Order) {
  tree_.Program("path2/llama-server");
  ASSERT_TRUE(LocateEngine(paths_).ok());
  EXPECT_EQ(LocateEngine(paths_)->origin, "PATH");
  EXPECT_EQ(LocateEngine(paths_)->bin_dir, tree_.Path("path2"));

  tree_.Program("src/build/engine/usr/bin/llama-cli");
  EXPECT_EQ(LocateEngine(paths_)->origin, "build tree");

  tree_.Program("data/headrace/engine/usr/bin/llama-completion");
  EXPECT_EQ(LocateEngine(paths_)->origin, "private prefix");
  EXPECT_EQ(LocateEngine(paths_)->bin_dir, tree_.Path("data/headrace/engine/usr/bin"));

  tree_.Program("own/bin/llama-cli");
  paths_.engine_option = tree_.Path("own");
  EXPECT_EQ(LocateEngine(paths_)->origin, "--engine or HEADRACE_ENGINE");
  EXPECT_EQ(LocateEngine(paths_)->bin_dir, tree_.Path("own/bin"));
}

TEST_F(EngineLocator, OptionMayNameTheFolderOfProgramsAndNeverFallsBack) {
  tree_.Program("data/headrace/engine/usr/bin/llama-cli");
  tree_.Program("flat/llama-bench");
  paths_.engine_option = tree_.Path("flat");
  ASSERT_TRUE(LocateEngine(paths_).ok());
  EXPECT_EQ(std::filesystem::path(LocateEngine(paths_)->bin_dir) / "x",
            std::filesystem::path(tree_.Path("flat")) / "x");
  paths_.engine_option = tree_.Path("nowhere");
  ASSERT_FALSE(LocateEngine(paths_).ok());
  EXPECT_NE(LocateEngine(paths_).status().message().find(tree_.Path("nowhere")), std::string::npos);
}

TEST_F(EngineLocator, AFileThatCannotBeExecutedIsNoEngine) {
  tree_.File("path1/llama-cli", "text");
  EXPECT_FALSE(LocateEngine(paths_).ok());
}

TEST_F(EngineLocator, ProgramsOfTheEngineComeBeforePath) {
  tree_.Program("path1/llama-server");
  tree_.Program("path1/other");
  tree_.Program("engine/llama-server");
  const Engine engine{tree_.Path("engine"), "test"};
  EXPECT_EQ(*LocateProgram("llama-server", &engine, paths_), tree_.Path("engine/llama-server"));
  EXPECT_EQ(*LocateProgram("llama-server", nullptr, paths_), tree_.Path("path1/llama-server"));
  EXPECT_EQ(*LocateProgram("other", &engine, paths_), tree_.Path("path1/other"));
  EXPECT_EQ(*LocateProgram(tree_.Path("path1/other"), &engine, paths_), tree_.Path("path1/other"));
  EXPECT_EQ(LocateProgram("missing", &engine, paths_).status().code(), Code::kNotFound);
  EXPECT_EQ(LocateProgram("./missing", &engine, paths_).status().code(), Code::kNotFound);
  EXPECT_EQ(LocateProgram("", &engine, paths_).status().code(), Code::kNotFound);
}

TEST_F(EngineLocator, LibraryBesideTheBinaryThenInLib) {
  EXPECT_EQ(LocateLibrary(paths_).status().code(), Code::kNotFound);
  paths_.binary_dir = tree_.Path("usr/bin");
  tree_.File("usr/lib/x86_64-linux-gnu/libheadrace.so.0");
  ASSERT_TRUE(LocateLibrary(paths_).ok());
  EXPECT_EQ(*LocateLibrary(paths_), tree_.Path("usr/lib/x86_64-linux-gnu/libheadrace.so.0"));
  tree_.File("usr/bin/libheadrace.so");
  EXPECT_EQ(*LocateLibrary(paths_), tree_.Path("usr/bin/libheadrace.so"));
  paths_.library_option = tree_.File("named.so");
  EXPECT_EQ(*LocateLibrary(paths_), tree_.Path("named.so"));
  paths_.library_option = tree_.Path("absent.so");
  EXPECT_EQ(LocateLibrary(paths_).status().code(), Code::kNotFound);
  paths_.library_option = tree_.File("with blank/h.so");
  EXPECT_EQ(LocateLibrary(paths_).status().code(), Code::kUnsupported);
}

TEST_F(EngineLocator, InstallerInstalledOrInTheSourceTree) {
  EXPECT_FALSE(LocateInstaller(paths_).ok());
  tree_.File("src/scripts/install-engine.sh");
  ASSERT_TRUE(LocateInstaller(paths_).ok());
  EXPECT_EQ(*LocateInstaller(paths_), tree_.Path("src/scripts/install-engine.sh"));
  tree_.File("src/build/release/share/headrace/install-engine.sh");
  EXPECT_EQ(*LocateInstaller(paths_), tree_.Path("src/build/release/share/headrace/install-engine.sh"));
}

}  // namespace
}  // namespace headrace::cli
