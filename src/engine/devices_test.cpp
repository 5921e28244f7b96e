#include "engine/devices.h"

#include <gtest/gtest.h>

#include "base/size.h"

namespace headrace::cli {
namespace {

TEST(ParseDevices, TakesNameDescriptionAndSizes) {
  const auto devices = ParseDevices(
      "ggml_vulkan: Found 1 Vulkan devices:\nAvailable devices:\n"
      "  CUDA0: NVIDIA GeForce RTX 3090 (24576 MiB, 23800 MiB free)\n"
      "  Vulkan1: AMD Radeon Graphics (RADV RENOIR) (8000 MiB, 7000 MiB free)\r\n"
      "  BLAS: OpenBLAS (0 MiB, 0 MiB free)\n"
      "  RPC0[10.0.0.1:50052]: RPC (4096 MiB, 4000 MiB free)\n");
  ASSERT_EQ(devices.size(), 3u);
  EXPECT_EQ(devices[0].name, "CUDA0");
  EXPECT_EQ(devices[0].description, "NVIDIA GeForce RTX 3090");
  EXPECT_EQ(devices[0].total_bytes, 24576 * kMiB);
  EXPECT_EQ(devices[0].free_bytes, 23800 * kMiB);
  EXPECT_FALSE(devices[0].shares_memory);
  EXPECT_EQ(devices[1].description, "AMD Radeon Graphics (RADV RENOIR)");
  EXPECT_TRUE(devices[1].shares_memory);
  EXPECT_EQ(devices[2].name, "RPC0[10.0.0.1:50052]");
}

TEST(ParseDevices, WhatIsNoDeviceIsNone) {
  for (const char* text :
       {"", "Available devices:\n  (none)\n", "  CUDA0: x (1 MiB)\n", "  CUDA0 (1 MiB, 1 MiB free)\n",
        "  CUDA0: x (a MiB, b MiB free)\n", "CUDA0: x (10 MiB, 5 MiB free)\n", "  CUDA0: x (10 MiB, 11 MiB free)\n",
        "  CUDA0: x (99999999999999999 MiB, 1 MiB free)\n", "error: unknown argument: --list-devices\n",
        "  : ( MiB, MiB free)"}) {
    EXPECT_TRUE(ParseDevices(text).empty()) << text;
  }
}

TEST(SharesMemory, PartsOfProcessorsAndSoftwareDo) {
  for (const char* text : {"llvmpipe (LLVM 15.0.6, 256 bits)", "Intel(R) UHD Graphics 630 (CFL GT2)",
                           "Intel(R) Iris(R) Xe Graphics (TGL GT2)", "Intel(R) Arc(tm) Graphics (MTL)",
                           "AMD Radeon Graphics (RADV RENOIR)", "AMD Radeon 780M Graphics (RADV PHOENIX)", "Orin"}) {
    EXPECT_TRUE(SharesMemory(text)) << text;
  }
  for (const char* text : {"NVIDIA GeForce RTX 3090", "NVIDIA H100 80GB HBM3", "AMD Radeon RX 7900 XTX (RADV NAVI31)",
                           "Intel(R) Arc(tm) A770 Graphics (DG2)", "Intel(R) Arc(tm) B580 Graphics (BMG G21)",
                           "AMD Radeon PRO W7900", ""}) {
    EXPECT_FALSE(SharesMemory(text)) << text;
  }
}

TEST(IsDeviceLibrary, ProcessorsLibrariesAreNone) {
  for (const char* name : {"libggml-vulkan.so", "libggml-cuda.so.0", "libggml-hip.so", "libggml-sycl.so"})
    EXPECT_TRUE(IsDeviceLibrary(name)) << name;
  for (const char* name : {"libggml-cpu-haswell.so", "libggml-cpu.so", "libggml-base.so.0", "libggml-blas.so",
                           "libggml-rpc.so", "libggml.so", "libllama.so", "libggml-vulkan.txt"}) {
    EXPECT_FALSE(IsDeviceLibrary(name)) << name;
  }
}

TEST(ParseVram, SizesAutoAndOff) {
  EXPECT_EQ(ParseVram("--vram", "8G")->bytes, 8 * kGiB);
  EXPECT_TRUE(ParseVram("--vram", "8G")->named());
  EXPECT_EQ(ParseVram("--vram", "8G")->origin, "--vram");
  EXPECT_EQ(ParseVram("--vram", "auto")->mode, VramLimit::Mode::kAuto);
  EXPECT_EQ(ParseVram("HEADRACE_VRAM", "off")->mode, VramLimit::Mode::kOff);
  for (const char* text : {"0", "much", "-1", "", "AUTO"}) {
    const auto limit = ParseVram("--vram", text);
    ASSERT_FALSE(limit.ok()) << text;
    EXPECT_EQ(limit.status().code(), Code::kInvalidArgument);
    EXPECT_NE(limit.status().message().find("--vram"), std::string::npos) << limit.status().message();
    EXPECT_NE(limit.status().message().find("auto or off"), std::string::npos) << limit.status().message();
  }
}

std::vector<Device> Cards() {
  return {{"CUDA0", "a", 8 * kGiB, 6 * kGiB, false}, {"CUDA1", "b", 4 * kGiB, 2 * kGiB, false}};
}

TEST(DeviceRooms, AutoLeavesAMarginOnEachDevice) {
  using Rooms = std::vector<uint64_t>;
  EXPECT_EQ(*DeviceRooms({}, Cards(), {}), (Rooms{5 * kGiB, kGiB}));
  EXPECT_EQ(*DeviceRooms({}, Cards(), {"-fitt", "512"}), (Rooms{6 * kGiB - 512 * kMiB, 2 * kGiB - 512 * kMiB}));
  EXPECT_EQ(*DeviceRooms({}, Cards(), {"--fit-target", "0,2000"}), (Rooms{6 * kGiB, 48 * kMiB}));
  EXPECT_EQ(*DeviceRooms({}, Cards(), {"-fitt", "5000"}), (Rooms{1144 * kMiB, 0}));
  EXPECT_EQ(*DeviceRooms({}, {}, {}), Rooms());
  auto shared = Cards();
  shared[1].shares_memory = true;
  EXPECT_EQ(*DeviceRooms({}, shared, {}), (Rooms{5 * kGiB, 0})) << "only when it is asked for";
}

TEST(DeviceRooms, ASizeIsDividedByWhatIsFree) {
  const auto rooms = DeviceRooms(*ParseVram("--vram", "4G"), Cards(), {});
  ASSERT_TRUE(rooms.ok());
  EXPECT_EQ(*rooms, (std::vector<uint64_t>{3 * kGiB, kGiB}));
  EXPECT_TRUE(DeviceRooms(*ParseVram("--vram", "8G"), Cards(), {}).ok());
  EXPECT_EQ(*DeviceRooms(*ParseVram("--vram", "off"), Cards(), {}), (std::vector<uint64_t>{0, 0}));
}

TEST(DeviceRooms, WhatIsNotThereIsAnError) {
  auto rooms = DeviceRooms(*ParseVram("--vram", "4G"), {}, {});
  ASSERT_FALSE(rooms.ok());
  EXPECT_EQ(rooms.status().code(), Code::kInvalidArgument);
  EXPECT_NE(rooms.status().message().find("--vram 4.00 GiB: this llama.cpp has no device here"), std::string::npos)
      << rooms.status().message();
  rooms = DeviceRooms(*ParseVram("--vram", "9G"), Cards(), {});
  ASSERT_FALSE(rooms.ok());
  EXPECT_NE(rooms.status().message().find("--vram 9.00 GiB is more than is free on 2 devices: 8.00 GiB"),
            std::string::npos)
      << rooms.status().message();
}

TEST(DeviceRooms, WorkersHaveWhatTheyOffer) {
  const auto devices =
      ParseDevices("  CUDA0: a card (8192 MiB, 8192 MiB free)\n  RPC0: 10.0.0.2:50052 (4096 MiB, 4096 MiB free)\n");
  ASSERT_EQ(devices.size(), 2u);
  EXPECT_FALSE(devices[0].remote);
  EXPECT_TRUE(devices[1].remote);
  constexpr uint64_t kOffered = (4096 - 64) * kMiB;
  const auto rooms = [&](VramLimit::Mode mode, uint64_t bytes, const std::vector<Device>& of) {
    VramLimit limit;
    limit.mode = mode;
    limit.bytes = bytes;
    const auto found = DeviceRooms(limit, of, {});
    return found.ok() ? *found : std::vector<uint64_t>{};
  };
  using Rooms = std::vector<uint64_t>;
  EXPECT_EQ(rooms(VramLimit::Mode::kAuto, 0, devices), (Rooms{7168 * kMiB, kOffered}));
  EXPECT_EQ(rooms(VramLimit::Mode::kOff, 0, devices), (Rooms{0, kOffered}));
  EXPECT_EQ(rooms(VramLimit::Mode::kSize, 2048 * kMiB, devices), (Rooms{2048 * kMiB, kOffered}));
  EXPECT_EQ(rooms(VramLimit::Mode::kSize, 2048 * kMiB, {devices[1]}), Rooms{}) << "there is no card";
}

}  // namespace
}  // namespace headrace::cli
