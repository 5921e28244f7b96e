// Errors as values. Nothing in headrace throws across a function of its own; every operation that can
// fail returns a Status or a Result<T>, and the compiler warns about one that is ignored.
#pragma once

#include <optional>
#include <string>
#include <utility>

namespace headrace {

// What kind of failure it is: callers branch on the code, people read the message.
enum class Code {
  kOk = 0,
  kInvalidArgument,  // the user's or the caller's input is wrong
  kNotFound,         // no such file, engine, tensor
  kPermission,       // exists, but may not be used
  kCorrupt,          // a file's content contradicts itself
  kIo,               // the disk failed or returned less than it must
  kOutOfBudget,      // it cannot work within the memory it was given
  kUnsupported,      // this engine, file system or machine cannot do it
  kChanged,          // a file changed while it was in use
  kCancelled,        // stopped on request
  kInternal,         // a broken invariant of headrace's own
};

// Success, or a code with one line for people: what happened, to what, and what to do about it.
// A value type; thread-compatible.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

// A T, or the Status that says why there is none. value() needs ok().
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}          // NOLINT: implicit on purpose
  Result(Status status) : status_(std::move(status)) {}  // NOLINT: implicit on purpose

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace headrace

// Returns the Status of an expression from the enclosing function unless it is ok.
#define HEADRACE_RETURN_IF_ERROR(expression)                                                                 \
  do {                                                                                                       \
    if (::headrace::Status headrace_status_ = (expression); !headrace_status_.ok()) return headrace_status_; \
  } while (false)
