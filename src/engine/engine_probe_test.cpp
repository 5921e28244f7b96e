#include "engine/engine_probe.h"

#include <gtest/gtest.h>

#include "base/engine_functions.h"

namespace headrace::cli {
namespace {

// What the files of an engine with all functions but one hold.
std::string NamesWithout(std::string_view left_out) {
  std::string names(1, '\0');
  for (const EngineFunctions& functions : kEngineFunctions) {
    for (const char* name : functions.names) {
      if (name != left_out) names.append(name).push_back('\0');
    }
  }
  return names;
}

GgmlCheck CheckWithout(std::string_view left_out) {
  GgmlCheck check;
  check.library = "/lib/libggml-base.so";
  CheckGgmlFunctions(NamesWithout(left_out), check);
  return check;
}

TEST(CheckGgml, AnEngineWithEverythingStreams) {
  const GgmlCheck check = CheckWithout("");
  EXPECT_TRUE(check.usable);
  EXPECT_EQ(check.problem, "");
  EXPECT_EQ(check.off, "");
}

TEST(CheckGgml, WhatStreamingNeedsIsAProblem) {
  for (const char* name : kEngineFunctions[0].names) {
    const GgmlCheck check = CheckWithout(name);
    EXPECT_FALSE(check.usable) << name;
    EXPECT_EQ(check.problem,
              "/lib/libggml-base.so has no " + std::string(name) + ": this release is too old or too new");
  }
}

TEST(CheckGgml, AnyOtherFunctionTakesAwayItsFeature) {
  for (const EngineFunctions& functions : std::span(kEngineFunctions).subspan(1)) {
    for (const char* name : functions.names) {
      const GgmlCheck check = CheckWithout(name);
      EXPECT_TRUE(check.usable) << name;
      EXPECT_EQ(check.off, std::string(functions.feature) + " is off, it has no " + name);
    }
  }
}

// "ggml_mul_mat" is no part of "ggml_mul_mat_id".
TEST(CheckGgml, NamesAreWhole) {
  GgmlCheck check;
  CheckGgmlFunctions(NamesWithout("ggml_mul_mat") + std::string("ggml_mul_mat_id") + '\0', check);
  EXPECT_FALSE(check.usable);
}

}  // namespace
}  // namespace headrace::cli
