#include "base/whole_disk.h"

#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <filesystem>
#include <fstream>

#include "base/temporary_tree.h"

namespace headrace {
namespace {

namespace fs = std::filesystem;

// A sysfs as Linux lays it out.
class WholeDisk : public ::testing::Test {
 protected:
  void Add(const std::string& number, const std::string& path) {
    const fs::path device = sys_ / "devices" / path;
    fs::create_directories(device / "slaves");
    fs::create_directories(sys_ / "dev/block");
    fs::create_directory_symlink(device, sys_ / "dev/block" / number);
  }
  void AddPartition(const std::string& number, const std::string& path) {
    Add(number, path);
    fs::remove(sys_ / "devices" / path / "slaves");
    std::ofstream(sys_ / "devices" / path / "partition") << "1\n";
  }
  void Carry(const std::string& path, const std::string& by) {
    fs::create_directory_symlink(sys_ / "devices" / by, sys_ / "devices" / path / "slaves" / fs::path(by).filename());
  }
  std::set<std::string> Disks(unsigned major, unsigned minor) { return DisksOf(makedev(major, minor), sys_); }
  std::string Shared(unsigned major, unsigned minor, unsigned other_major, unsigned other_minor) {
    return SharedDisk(makedev(major, minor), makedev(other_major, other_minor), sys_);
  }

  TemporaryTree tree_;
  const fs::path sys_ = tree_.Path("sys");
};

TEST_F(WholeDisk, PartitionsLieOnTheirDisk) {
  Add("259:0", "pci/nvme0n1");
  AddPartition("259:1", "pci/nvme0n1/nvme0n1p1");
  AddPartition("259:2", "pci/nvme0n1/nvme0n1p2");
  Add("8:0", "pci/sda");
  AddPartition("8:1", "pci/sda/sda1");
  EXPECT_EQ(Disks(259, 1), std::set<std::string>{"nvme0n1"});
  EXPECT_EQ(Disks(259, 0), std::set<std::string>{"nvme0n1"});
  EXPECT_EQ(Shared(259, 1, 259, 2), "nvme0n1");
  EXPECT_EQ(Shared(259, 0, 259, 2), "nvme0n1");
  EXPECT_EQ(Shared(259, 1, 8, 1), "");
  EXPECT_EQ(NameOfDevice(makedev(259, 2), sys_), "nvme0n1p2");
}

// LVM over LUKS over a partition, and a volume over two disks.
TEST_F(WholeDisk, VolumesLieOnWhatCarriesThem) {
  Add("8:0", "sda");
  AddPartition("8:1", "sda/sda1");
  Add("8:16", "sdb");
  Add("254:0", "virtual/dm-0");
  Add("254:1", "virtual/dm-1");
  Add("9:0", "virtual/md0");
  Carry("virtual/dm-0", "sda/sda1");
  Carry("virtual/dm-1", "virtual/dm-0");
  Carry("virtual/md0", "virtual/dm-1");
  Carry("virtual/md0", "sdb");
  EXPECT_EQ(Disks(254, 1), std::set<std::string>{"sda"});
  EXPECT_EQ(Disks(9, 0), (std::set<std::string>{"sda", "sdb"}));
  EXPECT_EQ(Shared(254, 1, 8, 1), "sda");
  EXPECT_EQ(Shared(9, 0, 8, 16), "sdb");
}

TEST_F(WholeDisk, ADeviceThatTheSystemDoesNotNameIsOnlyItself) {
  EXPECT_TRUE(Disks(0, 41).empty());
  EXPECT_EQ(Shared(0, 41, 0, 42), "");
  EXPECT_EQ(Shared(0, 41, 0, 41), "drive 0:41");
}

}  // namespace
}  // namespace headrace
