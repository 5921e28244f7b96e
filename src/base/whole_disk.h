// Which disk a file system lies on: partitions, and volumes that are made of others, are one with what carries them.
#pragma once

#include <sys/types.h>

#include <set>
#include <string>

namespace headrace {

// The names of the disks ("nvme0n1") below a device (st_dev). Empty where the system does not say: file systems that
// lie on no block device, or that hide it (btrfs, networks). `sys` is the mounted sysfs.
std::set<std::string> DisksOf(dev_t device, const std::string& sys = "/sys");

// A disk that both devices lie on; "" for none. One device lies on itself, also where the system does not say on what.
std::string SharedDisk(dev_t one, dev_t other, const std::string& sys = "/sys");

// "nvme0n1p2", or "drive 259:2" where the device has no name.
std::string NameOfDevice(dev_t device, const std::string& sys = "/sys");

}  // namespace headrace
