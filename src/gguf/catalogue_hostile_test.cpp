// Files that lie: each is refused with the right code and a line that helps, at once and without memory.
#include <sys/stat.h>
#include <unistd.h>

#include "gguf/catalogue.h"
#include "gguf/gguf_test.h"

namespace headrace {
namespace {

class HostileTest : public GgufTest {};

constexpr uint64_t kHuge = uint64_t{1} << 62;

TEST_F(HostileTest, NoFile) {
  ExpectRefused(Path("none.gguf"), Code::kNotFound, "no such file");
  ExpectRefused(WriteText("file", "x") + "/none.gguf", Code::kNotFound, "no such file");
  ExpectRefused(Path(std::string(5000, 'x')), Code::kInvalidArgument, "no usable path");
  EXPECT_EQ(ReadCatalogue("").status().code(), Code::kInvalidArgument);
}

TEST_F(HostileTest, NoPermission) {
  const std::string path = WriteText("secret.gguf", "GGUF");
  ASSERT_EQ(::chmod(path.c_str(), 0), 0);
  // root may read everything, so be somebody else.
  const bool root = ::geteuid() == 0;
  if (root) {
    ASSERT_EQ(::seteuid(65534), 0);
  }
  ExpectRefused(path, Code::kPermission, "may not read it");
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
}

TEST_F(HostileTest, NoRegularFile) {
  ASSERT_EQ(::mkdir(Path("directory").c_str(), 0700), 0);
  ExpectRefused(Path("directory"), Code::kInvalidArgument, "a directory");
  ASSERT_EQ(::mkfifo(Path("pipe").c_str(), 0600), 0);
  ExpectRefused(Path("pipe"), Code::kInvalidArgument,
                "not a regular file");  // and does not wait for a writer
}

TEST_F(HostileTest, NotGguf) {
  ExpectRefused(WriteText("empty.gguf", ""), Code::kCorrupt, "The download did not begin");
  ExpectRefused(WriteText("short.gguf", "GG"), Code::kCorrupt, "truncated");
  ExpectRefused(WriteText("garbage.gguf", "\x1b\x02garbage"), Code::kInvalidArgument, "begins with '??ga'");
  ExpectRefused(WriteText("lfs.gguf", "version https://git-lfs"), Code::kInvalidArgument, "git lfs pull");
  ExpectRefused(WriteText("page.gguf", "<!DOCTYPE html>"), Code::kInvalidArgument, "web page");
  ExpectRefused(WriteText("old.bin", "tjgg\x03"), Code::kInvalidArgument, "GGJT");
  ExpectRefused(WriteText("m.safetensors", std::string(64, '\x01')), Code::kInvalidArgument, "convert_hf_to_gguf.py");
}

TEST_F(HostileTest, OtherVersions) {
  ExpectRefused(GgufBuilder(0), Code::kUnsupported, "GGUF version 0");
  ExpectRefused(GgufBuilder(4), Code::kUnsupported, "GGUF version 4");
  ExpectRefused(GgufBuilder(0xffffffff), Code::kUnsupported, "GGUF version 4294967295");
  ExpectRefused(GgufBuilder(0x03000000), Code::kUnsupported, "big-endian");
}

TEST_F(HostileTest, TruncatedAnywhere) {
  const GgufBuilder builder = GgufBuilder()
                                  .Text("general.architecture", "llama")
                                  .I32Array("llama.attention.head_count", {1, 2})
                                  .TextArray("tokenizer.ggml.tokens", {"a", "b"})
                                  .Tensor("a", kGgmlF32, {8})
                                  .Tensor("b", kGgmlF32, {8});
  for (uint64_t bytes = 1; bytes < builder.FileBytes(); ++bytes) {
    ASSERT_TRUE(builder.Write(Path("model.gguf"), bytes));
    ExpectRefused(Path("model.gguf"), Code::kCorrupt, "truncated");
    ExpectRefused(Path("model.gguf"), Code::kCorrupt, "The download is incomplete: fetch the file again.");
  }
}

TEST_F(HostileTest, ImpossibleCounts) {
  for (uint32_t version : {1u, 3u}) {
    ExpectRefused(GgufBuilder(version).ClaimPairs(0xffffffff), Code::kCorrupt, "the metadata claims");
    ExpectRefused(GgufBuilder(version).ClaimTensors(0xffffffff), Code::kCorrupt, "the table of tensors claims");
  }
  ExpectRefused(GgufBuilder().ClaimPairs(~uint64_t{0}), Code::kCorrupt, "claims 18446744073709551615 items");
  // Even where the file is large enough.
  ASSERT_TRUE(GgufBuilder().ClaimPairs(65537).Write(Path("model.gguf"), 400 * kGiB));
  ExpectRefused(Path("model.gguf"), Code::kCorrupt, "claims 65537 metadata keys");
  ASSERT_TRUE(GgufBuilder().ClaimTensors(262145).Write(Path("model.gguf"), 400 * kGiB));
  ExpectRefused(Path("model.gguf"), Code::kCorrupt, "claims 262145 tensors");
}

TEST_F(HostileTest, ImpossibleLengths) {
  const std::string huge_length("\xff\xff\xff\xff\xff\xff\xff\x7f", 8);
  ExpectRefused(GgufBuilder().Raw("general.name", kGgufString, huge_length), Code::kCorrupt,
                "needs 9223372036854775807 bytes");
  ExpectRefused(GgufBuilder().Raw("other", kGgufString, huge_length), Code::kCorrupt, "truncated");
  ExpectRefused(GgufBuilder().Raw("other", kGgufString, std::string(8, '\xff')), Code::kCorrupt, "truncated");
  ExpectRefused(GgufBuilder().Array("a", kGgufString, kHuge, ""), Code::kCorrupt, "items");
  ExpectRefused(GgufBuilder().Array("a", kGgufString, 2, std::string(8, '\0') + huge_length), Code::kCorrupt,
                "truncated");
  // kHuge * 8 bytes is 0 modulo 2^64.
  ExpectRefused(GgufBuilder().Array("a", kGgufF64, kHuge, ""), Code::kCorrupt, "items");
  ExpectRefused(GgufBuilder().Array("llama.block_count", kGgufU64, kHuge, ""), Code::kCorrupt, "items");
}

// 50 thousand million empty strings do fit in 400 GB of zeros.
TEST_F(HostileTest, AnEndlessHeaderIsGivenUp) {
  ASSERT_TRUE(GgufBuilder().Array("a", kGgufString, 50000000000, "").Write(Path("model.gguf"), 401 * kGiB));
  ExpectRefused(Path("model.gguf"), Code::kCorrupt, "has not ended after 256 MiB");
}

TEST_F(HostileTest, BadKeys) {
  ExpectRefused(GgufBuilder().U32("", 1), Code::kCorrupt, "key is empty");
  ExpectRefused(GgufBuilder().U32(std::string(65536, 'k'), 1), Code::kCorrupt, "too long");
  EXPECT_TRUE(Read(GgufBuilder().U32(std::string(65535, 'k'), 1)).ok());
  ExpectRefused(GgufBuilder().U32("k\n", 1).U32("k\n", 2), Code::kCorrupt, "the key 'k?' occurs twice");
}

TEST_F(HostileTest, BadValueTypes) {
  ExpectRefused(GgufBuilder().Raw("k", 13, "12345678"), Code::kUnsupported, "unknown type 13");
  ExpectRefused(GgufBuilder().Raw("k", 0xffffffff, "12345678"), Code::kUnsupported, "unknown type 4294967295");
  ExpectRefused(GgufBuilder().Array("k", kGgufArray, 1, "12345678"), Code::kUnsupported, "an array of arrays");
  ExpectRefused(GgufBuilder().Array("k", 99, 1, "12345678"), Code::kUnsupported, "unknown type 99");
}

TEST_F(HostileTest, BadAlignment) {
  for (uint32_t alignment : {0u, 24u, 33u, 0x80000000u, 0xffffffffu, 1u << 21}) {
    ExpectRefused(GgufBuilder().Alignment(alignment), Code::kCorrupt,
                  "general.alignment is " + std::to_string(alignment));
  }
  ExpectRefused(GgufBuilder().Text("general.alignment", "32"), Code::kCorrupt, "general.alignment is no number");
  ExpectRefused(GgufBuilder().I32Array("general.alignment", {32}), Code::kCorrupt, "general.alignment");
  ExpectRefused(GgufBuilder().U64("general.alignment", kHuge), Code::kCorrupt, "general.alignment");
}

TEST_F(HostileTest, BadTensorNames) {
  ExpectRefused(GgufBuilder().Tensor("", kGgmlF32, {1}), Code::kCorrupt, "name that is not 1 to 63 bytes");
  ExpectRefused(GgufBuilder().Tensor(std::string(64, 'n'), kGgmlF32, {1}), Code::kCorrupt, "1 to 63 bytes");
  EXPECT_TRUE(Read(GgufBuilder().Tensor(std::string(63, 'n'), kGgmlF32, {1})).ok());
  ExpectRefused(GgufBuilder().Tensor("a\x1b[2J", kGgmlF32, {1}), Code::kCorrupt, "'a?[2J' has control characters");
  ExpectRefused(GgufBuilder().Tensor(std::string("a\0b", 3), kGgmlF32, {1}), Code::kCorrupt, "control");
  ExpectRefused(GgufBuilder().Tensor("a", kGgmlF32, {1}).Tensor("a", kGgmlF32, {1}), Code::kCorrupt,
                "tensor 'a' occurs twice");
}

TEST_F(HostileTest, BadShapes) {
  ExpectRefused(GgufBuilder().Tensor("w", kGgmlF32, {1, 1, 1, 1, 1}), Code::kCorrupt, "has 5 dimensions");
  ExpectRefused(GgufBuilder().TensorAt("w", kGgmlF32, {4, 0}, 0), Code::kCorrupt, "zero elements");
  ExpectRefused(GgufBuilder().Tensor("w", kGgmlQ4_0, {48, 2}), Code::kCorrupt,
                "rows of 48 elements, which Q4_0 can only have in multiples of 32");
  // Products that are small modulo 2^64, or negative as int64.
  const uint64_t kRoot = uint64_t{1} << 32;
  const auto write = [&](std::vector<uint64_t> shape, uint32_t type, const char* fragment) {
    ASSERT_TRUE(GgufBuilder().TensorAt("w", type, shape, 0).Write(Path("model.gguf"), 4 * kMiB));
    ExpectRefused(Path("model.gguf"), Code::kCorrupt, fragment);
  };
  write({kRoot, kRoot}, kGgmlF32, "more elements than can be counted");
  write({kRoot, kRoot, 0}, kGgmlF32, "more elements than can be counted");
  write({kRoot + 1, kRoot - 1, kRoot, kRoot}, kGgmlF32, "more elements than can be counted");
  write({~uint64_t{0}}, kGgmlF32, "more elements than can be counted");
  write({uint64_t{1} << 63}, kGgmlF32, "more elements than can be counted");
  write({kHuge}, kGgmlF32, "more bytes than can be counted");
  write({kHuge, 1, 1, 1}, kGgmlQ8_0, "truncated");
}

TEST_F(HostileTest, BadTensorTypes) {
  for (uint32_t type : {4u, 31u, 36u, 1024u, 0xffffffffu}) {
    ExpectRefused(GgufBuilder().Tensor("w", type, {32}), Code::kUnsupported,
                  "tensor 'w' has the unknown type " + std::to_string(type));
  }
}

// Their size is what the file has for them: never more than that, and never nothing.
TEST_F(HostileTest, TensorsOfNewerTypes) {
  const auto write = [&](const GgufBuilder& builder, uint64_t data_bytes) {
    EXPECT_TRUE(builder.Write(Path("model.gguf"), builder.DataOffset() + data_bytes));
    return Path("model.gguf");
  };
  const auto newer = [](std::vector<uint64_t> shape, uint64_t offset) {
    return GgufBuilder().TensorAt("w", 43, shape, offset);
  };
  EXPECT_TRUE(ReadCatalogue(write(newer({1000, 10}, 0), 157)).ok());
  ExpectRefused(write(newer({1000, 10}, 0), 150), Code::kCorrupt, "10 rows of 1000 elements in the 150 bytes");
  ExpectRefused(write(newer({1000, 10}, 0), 9), Code::kCorrupt,
                "tensor 'w' has 10 rows of 1000 elements in the 9 bytes before the end of the file");
  ExpectRefused(write(newer({1}, 64), 64), Code::kCorrupt,
                "1 rows of 1 elements in the 0 bytes before the end of the file");
  ExpectRefused(write(newer({1}, 64), 63), Code::kCorrupt, "truncated: tensor 'w'");
  ExpectRefused(write(newer({1, kHuge}, 0), 4096), Code::kCorrupt, "rows of 1 elements in the 4096 bytes");
  ExpectRefused(write(newer({kHuge}, 0), 4096), Code::kCorrupt,
                "1 rows of 4611686018427387904 elements in the 4096 bytes");
  ExpectRefused(write(newer({uint64_t{1} << 32, uint64_t{1} << 32}, 0), 4096), Code::kCorrupt,
                "more elements than can be counted");
  for (uint64_t offset : {~uint64_t{31}, uint64_t{1} << 63, kHuge})
    ExpectRefused(write(newer({8}, offset), 4096), Code::kCorrupt, "truncated: tensor 'w'");
  // At one place with another, of either kind.
  for (uint32_t type : {43u, uint32_t{kGgmlF32}}) {
    EXPECT_FALSE(ReadCatalogue(write(newer({8}, 0).TensorAt("v", type, {8}, 0), 4096)).ok()) << type;
    EXPECT_FALSE(ReadCatalogue(write(GgufBuilder().TensorAt("v", type, {8}, 0).TensorAt("w", 43, {8}, 0), 4096)).ok())
        << type;
  }
  ExpectRefused(write(GgufBuilder().TensorAt("v", kGgmlF32, {16}, 0).TensorAt("w", 43, {8}, 32), 4096), Code::kCorrupt,
                "overlaps tensor 'v'");
}

TEST_F(HostileTest, BadPlaces) {
  ExpectRefused(GgufBuilder().TensorAt("w", kGgmlF32, {8}, 8), Code::kCorrupt, "offset 8, which is no multiple of 32");
  const GgufBuilder sound = GgufBuilder().Tensor("a", kGgmlF32, {8}).Tensor("b", kGgmlF32, {8});
  ASSERT_TRUE(sound.Write(Path("model.gguf"), sound.FileBytes() - 1));
  ExpectRefused(Path("model.gguf"), Code::kCorrupt, "truncated: tensor 'b' has 32 bytes at offset 32");
  // The file ends in the padding before the data.
  const GgufBuilder padded = GgufBuilder().Alignment(4096).Tensor("w", kGgmlF32, {8});
  ASSERT_TRUE(padded.Write(Path("model.gguf"), padded.Header().size()));
  ExpectRefused(Path("model.gguf"), Code::kCorrupt, "of the data, which begins at 4096");
  // Sums that come around to the start of the file.
  for (uint64_t offset : {~uint64_t{31}, uint64_t{1} << 63, kHuge}) {
    ASSERT_TRUE(GgufBuilder().TensorAt("w", kGgmlF32, {8}, offset).Write(Path("model.gguf"), 4096));
    ExpectRefused(Path("model.gguf"), Code::kCorrupt, "truncated: tensor 'w'");
  }
}

TEST_F(HostileTest, OverlappingTensors) {
  const auto overlapping = [](uint64_t offset, std::vector<uint64_t> shape) {
    return GgufBuilder().TensorAt("a", kGgmlF32, {16}, 32).TensorAt("b", kGgmlF32, shape, offset);
  };
  ExpectRefused(overlapping(64, {8}), Code::kCorrupt, "tensor 'b' overlaps tensor 'a'");
  ExpectRefused(overlapping(32, {1}), Code::kCorrupt, "overlaps");
  ExpectRefused(overlapping(0, {9}), Code::kCorrupt, "tensor 'a' overlaps tensor 'b'");
  EXPECT_TRUE(Read(overlapping(0, {8})).ok());
  EXPECT_TRUE(Read(overlapping(96, {8})).ok());
}

}  // namespace
}  // namespace headrace
