// Thousands of damaged versions of a real model's header. Each must be refused, or give a catalogue whose
// tensors lie in the file, without a crash, a hang or much memory. The cases are the same in every run.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "gguf/catalogue.h"
#include "gguf/gguf_test.h"

namespace headrace {
namespace {

// A number or a text of the header: where it is.
struct Field {
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

// Finds the fields of a sound header (version 3): an independent, trusting reader. Of a long array the first
// three elements and the last count.
class FieldWalker {
 public:
  explicit FieldWalker(const std::string& header) : header_(header) {
    Number(4);
    Number(4);
    const uint64_t tensors = Number(8);
    const uint64_t pairs = Number(8);
    for (uint64_t i = 0; i < pairs; ++i) {
      String();
      Value(static_cast<uint32_t>(Number(4)));
    }
    for (uint64_t i = 0; i < tensors; ++i) {
      String();
      const uint64_t dimensions = Number(4);
      for (uint64_t d = 0; d < dimensions; ++d) Number(8);
      Number(4);
      Number(8);
    }
  }
  const std::vector<Field>& fields() const { return fields_; }
  uint64_t end() const { return position_; }

 private:
  uint64_t Number(uint64_t bytes) {
    uint64_t value = 0;
    std::memcpy(&value, header_.data() + position_, bytes);
    Add(bytes);
    return value;
  }
  void String() {
    const uint64_t length = Number(8);
    Add(length);
  }
  void Add(uint64_t bytes) {
    if (!quiet_ && bytes > 0) fields_.push_back({position_, bytes});
    position_ += bytes;
  }
  void Value(uint32_t type) {
    static constexpr uint64_t kBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (type == kGgufString) {
      String();
    } else if (type == kGgufArray) {
      const auto element = static_cast<uint32_t>(Number(4));
      const uint64_t count = Number(8);
      for (uint64_t i = 0; i < count; ++i) {
        quiet_ = i >= 3 && i + 1 < count;
        Value(element);
      }
      quiet_ = false;
    } else {
      Number(kBytes[type]);
    }
  }

  const std::string& header_;
  std::vector<Field> fields_;
  uint64_t position_ = 0;
  bool quiet_ = false;
};

// Lets the process reserve so many bytes more, touched or not, as long as it lives; beyond them `new` throws,
// which fails the test. Sanitizers need their own terabytes: nothing is limited there.
class MemoryLimit {
 public:
  explicit MemoryLimit(uint64_t more_bytes) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    uint64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    EXPECT_GT(pages, 0u);
    EXPECT_EQ(::getrlimit(RLIMIT_AS, &before_), 0);
    rlimit limit = before_;
    limit.rlim_cur = pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) + more_bytes;
    EXPECT_EQ(::setrlimit(RLIMIT_AS, &limit), 0);
    limited_ = true;
#else
    (void)more_bytes;
#endif
  }
  ~MemoryLimit() {
    if (limited_) ::setrlimit(RLIMIT_AS, &before_);
  }

 private:
  rlimit before_{};
  bool limited_ = false;
};

class FuzzTest : public GgufTest {
 protected:
  void SetUp() override {
    GgufTest::SetUp();
    std::ifstream model(Model("austen-draft-f16.gguf"), std::ios::binary);
    header_.assign(std::istreambuf_iterator<char>(model), {});
    ASSERT_GT(header_.size(), 1000000u);
    file_bytes_ = header_.size();
    const FieldWalker walker(header_);
    fields_ = walker.fields();
    ASSERT_GT(fields_.size(), 250u);
    header_.resize(AlignUp(walker.end(), 32));

    path_ = WriteText("fuzz.gguf", header_);
    file_ = Descriptor(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(::ftruncate(file_.get(), static_cast<off_t>(file_bytes_)), 0);
    limit_.emplace(64 * kMiB);
    Check();
    ASSERT_EQ(accepted_, 1) << "the model itself";
  }

  void TearDown() override {
    Check();
    EXPECT_GE(accepted_, 2) << "the model was not restored between the cases";
    RecordProperty("cases", cases_);
    RecordProperty("accepted", accepted_);
  }

  // Reads the file as it is now.
  void Check() {
    ++cases_;
    const auto start = std::chrono::steady_clock::now();
    const Result<Catalogue> model = ReadCatalogue(path_);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    ASSERT_LT(elapsed.count(), 5);
    if (!model.ok()) {
      const Code code = model.status().code();
      ASSERT_TRUE(code == Code::kCorrupt || code == Code::kUnsupported || code == Code::kInvalidArgument);
      ASSERT_TRUE(model.status().message().starts_with(path_)) << model.status().message();
      ASSERT_EQ(model.status().message().find('\n'), std::string::npos) << model.status().message();
      return;
    }
    ++accepted_;
    uint64_t end = 0;
    for (const TensorEntry& tensor : model->tensors) {
      ASSERT_GE(tensor.offset, end) << tensor.name;
      ASSERT_LE(tensor.bytes, model->files[0].bytes) << tensor.name;
      end = tensor.offset + tensor.bytes;
      ASSERT_LE(end, model->files[0].bytes) << tensor.name;
      ASSERT_GT(tensor.bytes, 0u) << tensor.name;
      ASSERT_GT(tensor.row_bytes(), 0u) << tensor.name;
      ASSERT_LE(tensor.row_bytes() * tensor.rows(), tensor.bytes) << tensor.name;
      if (tensor.type_known()) {
        ASSERT_EQ(tensor.row_bytes() * tensor.rows(), tensor.bytes) << tensor.name;
      }
    }
  }

  // Checks the file with these bytes put at offset, then puts back what was there.
  void CheckWith(uint64_t offset, const std::string& bytes) {
    Put(offset, bytes);
    Check();
    Put(offset, header_.substr(offset, bytes.size()));
  }
  void Put(uint64_t offset, const std::string& bytes) {
    ASSERT_EQ(::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes.size()));
  }

  std::string header_;
  uint64_t file_bytes_ = 0;
  std::vector<Field> fields_;
  std::string path_;
  Descriptor file_;
  int cases_ = 0;
  int accepted_ = 0;
  std::optional<MemoryLimit> limit_;
};

TEST_F(FuzzTest, CutAtEveryField) {
  for (const Field& field : fields_) {
    for (uint64_t end : {field.offset, field.offset + field.bytes / 2}) {
      for (bool extended : {false, true}) {  // with zeros, as an interrupted download into a full-size file
        ASSERT_EQ(::ftruncate(file_.get(), static_cast<off_t>(end)), 0);
        if (extended) {
          ASSERT_EQ(::ftruncate(file_.get(), static_cast<off_t>(file_bytes_)), 0);
        }
        const int accepted_before = accepted_;
        Check();
        ASSERT_FALSE(HasFatalFailure()) << "cut at " << end;
        if (!extended) {
          ASSERT_EQ(accepted_, accepted_before) << "cut at " << end;
        }
        ASSERT_EQ(::ftruncate(file_.get(), static_cast<off_t>(file_bytes_)), 0);
        Put(end, header_.substr(end));
      }
    }
  }
  EXPECT_GT(cases_, 1000);
}

TEST_F(FuzzTest, EveryFieldWithExtremeValues) {
  for (const Field& field : fields_) {
    const uint64_t bytes = std::min<uint64_t>(field.bytes, 8);
    for (uint64_t value : {~uint64_t{0}, uint64_t{0}, ~uint64_t{0} >> 1, uint64_t{1} << 63, uint64_t{1} << 31,
                           uint64_t{1} << 32, ~uint64_t{0} / 8 + 1, file_bytes_, file_bytes_ / 2}) {
      const char* raw = reinterpret_cast<const char*>(&value);
      CheckWith(field.offset, std::string(raw, bytes));
      ASSERT_FALSE(HasFatalFailure()) << "value " << value << " at " << field.offset;
    }
  }
  EXPECT_GT(cases_, 2000);
}

TEST_F(FuzzTest, EveryFieldWithFlippedBits) {
  for (const Field& field : fields_) {
    for (uint64_t i = 0; i < std::min<uint64_t>(field.bytes, 8); ++i) {
      for (int bit : {0, 5, 7}) {
        const uint64_t offset = field.offset + i;
        CheckWith(offset, std::string(1, static_cast<char>(header_[offset] ^ (1 << bit))));
        ASSERT_FALSE(HasFatalFailure()) << "bit " << bit << " at " << offset;
      }
    }
  }
  EXPECT_GT(cases_, 3000);
}

TEST_F(FuzzTest, BytesAnywhere) {
  std::mt19937_64 random(20240229);
  for (int i = 0; i < 2000; ++i) {
    std::vector<uint64_t> offsets;
    const uint64_t count = 1 + random() % 8;
    for (uint64_t k = 0; k < count; ++k) {
      // Half of them among the fields, where they matter.
      const Field& field = fields_[random() % fields_.size()];
      offsets.push_back(random() % 2 == 0 ? random() % header_.size() : field.offset + random() % field.bytes);
      Put(offsets.back(), std::string(1, static_cast<char>(random())));
    }
    Check();
    for (uint64_t offset : offsets) Put(offset, header_.substr(offset, 1));
    ASSERT_FALSE(HasFatalFailure()) << "case " << i;
  }
}

}  // namespace
}  // namespace headrace
