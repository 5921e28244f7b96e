#include "learned/machine_profile.h"

#include <gtest/gtest.h>

#include "base/size.h"
#include "base/temporary_tree.h"
#include "base/text_file.h"
#include "learned/machine_measure.h"

namespace headrace::cli {
namespace {

constexpr int64_t kNow = 1'800'000'000;
const ProfileEntry kEntry{5e9, true, false, 4e10, 1e12, kNow};

TEST(ProfileKey, NamesDeviceAndEngine) { EXPECT_EQ(ProfileKey(0xfe00, "0.7.0"), "254:0 | 0.7.0"); }

TEST(Profiles, RoundTrip) {
  const ProfileEntries parsed = ParseProfiles(RenderProfiles({{"a", kEntry}, {"b", kEntry}}));
  ASSERT_EQ(parsed.size(), 2u);
  const ProfileEntry& entry = parsed.at("a");
  EXPECT_DOUBLE_EQ(entry.disk_bytes_per_s, 5e9);
  EXPECT_TRUE(entry.direct);
  EXPECT_DOUBLE_EQ(entry.memory_bytes_per_s, 4e10);
  EXPECT_DOUBLE_EQ(entry.prompt_flops_per_s, 1e12);
  EXPECT_EQ(entry.measured_at, kNow);
}

TEST(Profiles, CorruptIsIgnored) {
  for (const char* text :
       {"", "{", "[]", "null", "{\"version\":2,\"machines\":{}}", "{\"version\":1}", "{\"version\":1,\"machines\":[]}",
        "{\"version\":\"1\",\"machines\":{\"a\":{}}}", "{\"version\":1,\"machines\":{\"a\":5}}",
        "{\"version\":1,\"machines\":{\"a\":{\"disk_bytes_per_s\":-1,\"measured_at\":1}}}",
        "{\"version\":1,\"machines\":{\"a\":{\"disk_bytes_per_s\":\"fast\",\"measured_at\":1}}}",
        "{\"version\":1,\"machines\":{\"a\":{\"disk_bytes_per_s\":1e300,\"measured_at\":1}}}",
        "{\"version\":1,\"machines\":{\"a\":{\"disk_bytes_per_s\":1}}}"}) {
    EXPECT_TRUE(ParseProfiles(text).empty()) << text;
  }
}

TEST(Profiles, StoredAndStale) {
  const TemporaryTree tree;
  const std::string path = tree.Path("cache/headrace/machine.json");
  EXPECT_FALSE(LoadProfile(path, "a", kNow));
  StoreProfile(path, "a", kEntry);
  StoreProfile(path, "b", kEntry);
  EXPECT_TRUE(LoadProfile(path, "a", kNow));
  EXPECT_TRUE(LoadProfile(path, "b", kNow + kProfileLifetimeSeconds));
  EXPECT_FALSE(LoadProfile(path, "b", kNow + kProfileLifetimeSeconds + 1));
  EXPECT_FALSE(LoadProfile(path, "a", kNow - 1)) << "measured in the future";
  EXPECT_FALSE(LoadProfile(path, "c", kNow));
  EXPECT_FALSE(LoadProfile("", "a", kNow));
  ProfileEntry disturbed = kEntry;
  disturbed.disturbed = true;
  StoreProfile(path, "d", disturbed);
  EXPECT_TRUE(LoadProfile(path, "d", kNow + kDisturbedLifetimeSeconds));
  EXPECT_FALSE(LoadProfile(path, "d", kNow + kDisturbedLifetimeSeconds + 1)) << "measured while others were busy";
  tree.File("cache/headrace/machine.json", "garbage");
  EXPECT_FALSE(LoadProfile(path, "a", kNow));
  StoreProfile(path, "a", kEntry);
  EXPECT_TRUE(LoadProfile(path, "a", kNow));
}

TEST(Profiles, AFolderThatCannotBeWrittenDoesNoHarm) {
  StoreProfile("/proc/nonexistent/machine.json", "a", kEntry);
  StoreProfile("", "a", kEntry);
}

TEST(MeasureDisk, ReadsAFileOfAnySizeWithinItsLimits) {
  const TemporaryTree tree;
  for (const size_t bytes : {size_t{4096}, size_t{5000}, size_t{3} << 20, size_t{9} << 20}) {
    const std::string path = tree.File("data", std::string(bytes, 'x'));
    double last = -1;
    const auto speed =
        MeasureDisk(path, SourceFile::Access::kDirect, {0.2, 16 << 20}, [&](double share) { last = share; });
    ASSERT_TRUE(speed.ok()) << speed.status().message();
    EXPECT_GT(speed->bytes_per_s, 0);
    EXPECT_GT(last, 0);
    EXPECT_LE(speed->bytes, 20u << 20);
  }
  EXPECT_FALSE(MeasureDisk(tree.File("tiny", "x"), SourceFile::Access::kDirect, {}).ok());
  EXPECT_FALSE(MeasureDisk(tree.Path("absent"), SourceFile::Access::kDirect, {}).ok());
}

TEST(MeasureMemory, IsPlausible) {
  const double speed = MeasureMemory();
  EXPECT_GT(speed, 1e8);
  EXPECT_LT(speed, 1e14);
}

}  // namespace
}  // namespace headrace::cli
