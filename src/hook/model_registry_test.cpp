#include "hook/model_registry.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/descriptor.h"

namespace headrace {
namespace {

namespace fs = std::filesystem;

class ModelRegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/model_registry_test_XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::string Write(const std::string& name, uint64_t bytes) const {
    std::ofstream(Path(name), std::ios::binary) << std::string(bytes, 'w');
    return Path(name);
  }
  static FileVersion VersionOf(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
    return FileVersion::Of(info);
  }
  ModelRegistry::Verdict Judge(const std::string& path, uint64_t room,
                               std::optional<uint64_t> weight_bytes = std::nullopt) {
    return models_.Judge(VersionOf(path), path, weight_bytes, {room, false});
  }

  std::string folder_;
  ModelRegistry models_;
};

// A mapping of a file, known to a registry while it lives.
class Mapped {
 public:
  Mapped(ModelRegistry& models, const std::string& path, bool remove_first = false)
      : models_(models), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat info {};
    ::fstat(fd_.get(), &info);
    bytes_ = static_cast<uint64_t>(info.st_size);
    data_ = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, fd_.get(), 0);
    if (remove_first) fs::remove(path);
    auto mapped = models_.Mapped(data_, bytes_, fd_.get(), 0, SourceFile::Access::kBuffered);
    status = mapped.status();
    if (mapped.ok()) file = *mapped;
  }
  ~Mapped() {
    models_.Unmapped(data_, bytes_);
    ::munmap(data_, bytes_);
  }
  const void* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }

  Status status;
  std::shared_ptr<const SourceFile> file;

 private:
  ModelRegistry& models_;
  const Descriptor fd_;
  uint64_t bytes_ = 0;
  void* data_ = nullptr;
};

TEST_F(ModelRegistryTest, WhatIsLargerThanTheRoomStreams) {
  const std::string path = Write("model.gguf", 10'000);
  EXPECT_FALSE(models_.Find(VersionOf(path)).has_value());
  EXPECT_FALSE(Judge(path, 10'000).streams);
  EXPECT_TRUE(Judge(path, 9'999).streams);
  EXPECT_EQ(models_.Find(VersionOf(path))->weight_bytes, 10'000u);
  EXPECT_TRUE(models_.Find(VersionOf(path))->streams);
  EXPECT_TRUE(models_.Judge(VersionOf(path), path, std::nullopt, {1 << 20, true}).streams) << "all are to stream";
}

// The engine read the header: what it says of the weights counts, up to the size of the file.
TEST_F(ModelRegistryTest, TheHeaderIsNoWeight) {
  const std::string path = Write("model.gguf", 10'000);
  EXPECT_FALSE(Judge(path, 9'000, 9'000).streams);
  EXPECT_TRUE(Judge(path, 8'999, 9'000).streams);
  EXPECT_EQ(Judge(path, 1, UINT64_MAX).weight_bytes, 10'000u);
}

TEST_F(ModelRegistryTest, AllPartsCount) {
  const std::string first = Write("m-00001-of-00003.gguf", 3'000), second = Write("m-00002-of-00003.gguf", 5'000),
                    third = Write("m-00003-of-00003.gguf", 500);
  EXPECT_EQ(Judge(first, 8'500).weight_bytes, 8'500u);
  EXPECT_TRUE(Judge(first, 8'499).streams);
  // As the engine reads one header after the other the sum becomes exact, and the decision with it.
  EXPECT_TRUE(Judge(first, 8'000, 2'800).streams);
  EXPECT_TRUE(Judge(second, 8'000, 4'800).streams);
  const auto all = Judge(third, 8'000, 400);
  EXPECT_EQ(all.weight_bytes, 8'000u);
  EXPECT_FALSE(all.streams);
  EXPECT_FALSE(models_.Find(VersionOf(first))->streams) << "one model";
}

TEST_F(ModelRegistryTest, PartsThatAreMissingOrAreOneFile) {
  const std::string second = Write("m-00002-of-00003.gguf", 5'000);
  EXPECT_EQ(Judge(second, 0).weight_bytes, 5'000u);
  fs::create_hard_link(second, Path("m-00001-of-00003.gguf"));
  EXPECT_EQ(Judge(second, 0).weight_bytes, 5'000u);
  // A name that leads to another file by now says nothing about this one.
  const FileVersion before = VersionOf(second);
  fs::remove(Path("m-00001-of-00003.gguf"));
  fs::rename(second, Path("elsewhere"));
  Write("m-00002-of-00003.gguf", 7);
  Write("m-00003-of-00003.gguf", 8);
  EXPECT_EQ(models_.Judge(before, second, std::nullopt, {}).weight_bytes, 5'000u);
}

TEST_F(ModelRegistryTest, AFileThatWasWrittenOverIsAnother) {
  const std::string path = Write("model.gguf", 10'000);
  EXPECT_FALSE(Judge(path, 10'000).streams);
  Write("model.gguf", 20'000);
  EXPECT_FALSE(models_.Find(VersionOf(path)).has_value());
  EXPECT_TRUE(Judge(path, 10'000).streams);
  // The same size, another time.
  const FileVersion before = VersionOf(path);
  fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(2));
  EXPECT_FALSE(VersionOf(path) == before);
  EXPECT_FALSE(models_.Find(VersionOf(path)).has_value());
}

TEST_F(ModelRegistryTest, AMappedModelStaysWhatItIs) {
  const std::string path = Write("model.gguf", 10'000);
  EXPECT_FALSE(Judge(path, 10'000).streams);
  {
    const Mapped mapped(models_, path);
    EXPECT_EQ(mapped.file, nullptr);
    EXPECT_FALSE(Judge(path, 0).streams);
    EXPECT_EQ(models_.passive().weight_bytes, 10'000u);
    EXPECT_EQ(models_.passive().mapped_bytes, 10'000u);
  }
  EXPECT_TRUE(models_.empty());
  EXPECT_EQ(models_.passive().weight_bytes, 0u);
  EXPECT_FALSE(models_.Find(VersionOf(path)).has_value()) << "it is judged anew";
  EXPECT_TRUE(Judge(path, 0).streams);
}

TEST_F(ModelRegistryTest, BesideAModelThatStreamsAllDo) {
  const std::string large = Write("large.gguf", 10'000), small = Write("small.gguf", 100);
  EXPECT_TRUE(Judge(large, 5'000).streams);
  EXPECT_FALSE(Judge(small, 5'000).streams) << "the large one is not there yet";
  const Mapped mapped(models_, large);
  ASSERT_NE(mapped.file, nullptr);
  EXPECT_TRUE(Judge(small, 5'000).streams);
}

// Parts are counted as one model, and when the last range of the last part goes, none is left.
TEST_F(ModelRegistryTest, CountsModelsAndNotParts) {
  const std::string first = Write("m-00001-of-00002.gguf", 8'192), second = Write("m-00002-of-00002.gguf", 8'192),
                    other = Write("o.gguf", 8'192);
  EXPECT_TRUE(Judge(first, 0).streams);
  EXPECT_EQ(models_.streaming(), 0u);
  auto one = std::make_unique<Mapped>(models_, first), two = std::make_unique<Mapped>(models_, second);
  EXPECT_EQ(models_.streaming(), 1u);
  EXPECT_TRUE(Judge(other, 0).streams);
  auto three = std::make_unique<Mapped>(models_, other);
  EXPECT_EQ(models_.streaming(), 2u);
  EXPECT_TRUE(models_.Unmapped(one->data(), 4'096)) << "the header, as the engine does";
  EXPECT_FALSE(models_.Unmapped(one->data(), 4'096));
  one.reset();
  EXPECT_EQ(models_.streaming(), 2u);
  two.reset();
  EXPECT_EQ(models_.streaming(), 1u);
  three.reset();
  EXPECT_EQ(models_.streaming(), 0u);
  EXPECT_TRUE(models_.empty());
}

// Whatever the name leads to by now, what is mapped is what streams.
TEST_F(ModelRegistryTest, TheMappedFileIsOpened) {
  const std::string path = Write("model.gguf", 10'000);
  EXPECT_TRUE(Judge(path, 0).streams);
  const FileVersion before = VersionOf(path);
  const Mapped mapped(models_, path, true);
  ASSERT_TRUE(mapped.status.ok()) << mapped.status.message();
  ASSERT_NE(mapped.file, nullptr);
  EXPECT_TRUE(mapped.file->identity() == before.identity);
  EXPECT_NE(mapped.file->path().find("model.gguf"), std::string::npos) << "messages name it: " << mapped.file->path();
  const auto origin = models_.mappings().Find(mapped.data(), mapped.bytes());
  ASSERT_TRUE(origin.has_value());
  EXPECT_EQ(origin->file, mapped.file);
}

// The mapping alone then serves. It counts as a mapping, and nothing as memory that others cannot have.
TEST_F(ModelRegistryTest, AFileThatCannotBeOpenedAgain) {
  const std::string path = Write("model.gguf", 10'000);
  EXPECT_TRUE(Judge(path, 0).streams);
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  // Root may open everything, but for want of descriptors.
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit none{0, limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto mapped = models_.Mapped(this, 10'000, fd.get(), 0, SourceFile::Access::kDirect);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  ASSERT_FALSE(mapped.ok());
  EXPECT_NE(mapped.status().message().find("model.gguf: cannot open"), std::string::npos) << mapped.status().message();
  EXPECT_EQ(models_.streaming(), 0u);
  EXPECT_FALSE(models_.empty());
  EXPECT_EQ(models_.passive().weight_bytes, 0u);
  EXPECT_FALSE(models_.Unmapped(this, 10'000)) << "nothing streamed";
  EXPECT_TRUE(models_.empty());
}

TEST_F(ModelRegistryTest, UnknownFilesAreNobodys) {
  const std::string path = Write("model.gguf", 10'000);
  const Mapped mapped(models_, path);
  EXPECT_TRUE(mapped.status.ok());
  EXPECT_EQ(mapped.file, nullptr);
  EXPECT_TRUE(models_.empty());
  EXPECT_FALSE(models_.Overlaps(mapped.data(), mapped.bytes()));
}

TEST_F(ModelRegistryTest, ThreadsLoadAndUnloadAtTheSameTime) {
  const std::string paths[] = {Write("0.gguf", 8'192), Write("1.gguf", 12'288)};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, path = paths[i % 2]] {
      for (int round = 0; round < 200; ++round) {
        Judge(path, round % 3 == 0 ? 1 << 20 : 0);
        const Mapped mapped(models_, path);
        EXPECT_TRUE(mapped.status.ok());
        models_.passive();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(models_.empty());
  EXPECT_EQ(models_.streaming(), 0u);
}

}  // namespace
}  // namespace headrace
