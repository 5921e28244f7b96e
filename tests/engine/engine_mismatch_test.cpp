// An engine whose ggml_tensor has another size than the one that the library was compiled for: the library
// must stay passive and say so in one line. The engine is faked by a copy of libggml-base whose
// ggml_tensor_overhead() returns more; the engine itself works with it, it only allocates more.
#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "dump.h"
#include "engine_run.h"
#include "models.h"

namespace headrace::testing {
namespace {

// The offset in the file of a function of a 64-bit ELF library, 0 when it has none. Looks at the dynamic
// symbols, through the section headers.
uint64_t FunctionOffset(const std::string& elf, const std::string& name) {
  const auto at = [&](uint64_t offset, auto& value) {
    if (offset + sizeof value > elf.size()) return false;
    std::memcpy(&value, elf.data() + offset, sizeof value);
    return true;
  };
  Elf64_Ehdr header;
  if (!at(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return 0;
  for (uint64_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr symbols, strings, code;
    if (!at(header.e_shoff + i * sizeof symbols, symbols) || symbols.sh_type != SHT_DYNSYM) continue;
    if (!at(header.e_shoff + symbols.sh_link * sizeof strings, strings)) return 0;
    for (uint64_t s = 0; s < symbols.sh_size / sizeof(Elf64_Sym); ++s) {
      Elf64_Sym symbol;
      if (!at(symbols.sh_offset + s * sizeof symbol, symbol) || symbol.st_shndx == SHN_UNDEF) continue;
      const uint64_t text = strings.sh_offset + symbol.st_name;
      if (text >= elf.size() || name != elf.c_str() + text) continue;
      if (!at(header.e_shoff + symbol.st_shndx * sizeof code, code)) return 0;
      return symbol.st_value - code.sh_addr + code.sh_offset;
    }
  }
  return 0;
}

// Adds 64 to the constant that ggml_tensor_overhead returns. False when the function is not of the form
// [endbr64] mov $constant, %eax; ret.
bool GrowTensorOverhead(std::string& elf) {
  uint64_t at = FunctionOffset(elf, "ggml_tensor_overhead");
  if (at == 0 || at + 16 > elf.size()) return false;
  if (elf.compare(at, 4, "\xf3\x0f\x1e\xfa") == 0) at += 4;
  if (elf[at] != '\xb8' || elf[at + 5] != '\xc3') return false;
  uint32_t constant = 0;
  std::memcpy(&constant, elf.data() + at + 1, sizeof constant);
  constant += 64;
  std::memcpy(elf.data() + at + 1, &constant, sizeof constant);
  return true;
}

TEST(EngineMismatch, StaysPassiveWithOneLine) {
  std::string elf = ReadWholeFile(std::string(HEADRACE_ENGINE_LIB) + "/libggml-base.so.0");
  ASSERT_TRUE(GrowTensorOverhead(elf)) << "this engine's ggml_tensor_overhead is not the constant function known";
  const std::string fake = WorkDirectory() + "/libggml-base.so.0";
  std::ofstream(fake, std::ios::binary) << elf;

  Work work;
  work.model = BundledModel("austen-dense-q4_0.gguf");
  work.prompts = {7};
  const EngineRun stock = RunStock(work);
  // Preloaded under the same soname, it takes the place of the real one.
  const EngineRun run = RunStreamed(work, 5u << 20, {{"LD_PRELOAD", LibraryPath() + ":" + fake}});
  EXPECT_TRUE(SameBytes(stock, run));
  EXPECT_EQ(Lines(run.child.err, "headrace: ").size(), 1u) << run.child.Describe();
  EXPECT_EQ(run.child.out, stock.child.out) << "threads were started";
  if (run.snapshot) {
    EXPECT_EQ((*run.snapshot)->bytes_read.load(), 0u);
  }

  // The fake alone changes nothing, so the test rests on the library's own check.
  EXPECT_TRUE(SameBytes(stock, RunDumper({HEADRACE_LOGITS_DUMP, "--model", work.model, "--prompts", "7", "--decode",
                                          std::to_string(work.decode)},
                                         {{"LD_PRELOAD", fake}})));
}

}  // namespace
}  // namespace headrace::testing
