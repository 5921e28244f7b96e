#include "models/download_state.h"

#include <gtest/gtest.h>

#include "base/size.h"
#include "base/temporary_tree.h"
#include "models/sha256.h"

namespace headrace {
namespace {

TEST(DownloadState, PiecesFillUp) {
  DownloadState state(20 * kMiB + 5, "v1");
  EXPECT_EQ(state.pieces(), 11u);
  EXPECT_EQ(state.Missing(10).end, 20 * kMiB + 5);
  state.Add(0, 3 * kMiB);  // beyond the first
  EXPECT_EQ(state.Missing(0).begin, state.Missing(0).end);
  EXPECT_EQ(state.Missing(1).begin, 3 * kMiB);
  EXPECT_EQ(state.done_bytes(), 3 * kMiB);
  for (size_t i = 1; i < state.pieces(); ++i)
    state.Add(state.Missing(i).begin, state.Missing(i).end - state.Missing(i).begin);
  EXPECT_TRUE(state.complete());
  EXPECT_TRUE(DownloadState(0, "").complete());
}

TEST(DownloadState, KeptBesideTheFile) {
  const TemporaryTree tree;
  const std::string path = tree.Path("x.state");
  DownloadState state(10 * kMiB, "v1");
  state.Add(0, 1000);
  state.Add(2 * kMiB, kMiB);
  ASSERT_TRUE(state.Save(path).ok());
  EXPECT_EQ(DownloadState::Load(path, 10 * kMiB, "v1").done_bytes(), kMiB + 1000);
  EXPECT_EQ(DownloadState::Load(path, 10 * kMiB, "v2").done_bytes(), 0u) << "another version";
  EXPECT_EQ(DownloadState::Load(path, 11 * kMiB, "v1").done_bytes(), 0u);
  EXPECT_EQ(DownloadState::Load(tree.Path("none"), 10 * kMiB, "v1").done_bytes(), 0u);
  for (const char* text :
       {"", "{}", R"({"version":1,"bytes":10485760,"piece_bytes":1048576,"tag":"v1","done":[1]})",
        R"({"version":1,"bytes":10485760,"piece_bytes":1048576,"tag":"v1","done":[-1,0,0,0,0,0,0,0,0,0]})"}) {
    EXPECT_EQ(DownloadState::Load(tree.File("x.state", text), 10 * kMiB, "v1").done_bytes(), 0u) << text;
  }
  const auto huge = DownloadState::Load(
      tree.File(
          "x.state",
          R"({"version":1,"bytes":10485760,"piece_bytes":1048576,"tag":"v1","done":[99999999999,0,0,0,0,0,0,0,0,0]})"),
      10 * kMiB, "v1");
  EXPECT_EQ(huge.done_bytes(), kMiB) << "never more than there is";
}

TEST(Sha256, OfAFile) {
  const TemporaryTree tree;
  const auto hash = Sha256OfFile(tree.File("x", "abc"), [](uint64_t) { return true; });
  EXPECT_EQ(*hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_TRUE(IsSha256(*hash));
  EXPECT_FALSE(IsSha256("ba78"));
  EXPECT_FALSE(IsSha256("../" + std::string(61, 'a')));
  EXPECT_EQ(Sha256OfFile(tree.Path("none"), [](uint64_t) { return true; }).status().code(), Code::kNotFound);
  EXPECT_EQ(Sha256OfFile(tree.Path("x"), [](uint64_t) { return false; }).status().code(), Code::kCancelled);
}

}  // namespace
}  // namespace headrace
