#include "experts/router_trace.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace headrace {
namespace {

TEST(RouterTrace, ComesBackAsItWasWritten) {
  const std::string path = "router_trace_test." + std::to_string(::getpid());
  const std::vector<RouterStep> steps = {{0, {5, 300, 2}}, {1, {}}, {65535, {65535}}};
  {
    auto writer = RouterTraceWriter::Create(path);
    ASSERT_TRUE(writer.ok()) << writer.status().message();
    for (const RouterStep& step : steps) (*writer)->Write(step.layer, step.experts);
    (*writer)->Write(65536, {});
  }
  const auto read = ReadRouterTrace(path);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(*read, steps);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  EXPECT_EQ(ReadRouterTrace(path).status().code(), Code::kCorrupt);
  std::ofstream(path) << "something else";
  EXPECT_EQ(ReadRouterTrace(path).status().code(), Code::kCorrupt);
  std::filesystem::remove(path);
  EXPECT_EQ(ReadRouterTrace(path).status().code(), Code::kNotFound);
  EXPECT_FALSE(RouterTraceWriter::Create("/nonexistent/trace").ok());
}

}  // namespace
}  // namespace headrace
