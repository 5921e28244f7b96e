#include "base/json.h"

#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/shown.h"

namespace headrace {
namespace {

// Told by nlohmann's parser, which does not recurse, what comes next; false ends it.
template <typename AnyJson>
class JsonBuilder : public AnyJson::json_sax_t {
  using typename AnyJson::json_sax_t::binary_t, typename AnyJson::json_sax_t::number_float_t,
      typename AnyJson::json_sax_t::number_integer_t, typename AnyJson::json_sax_t::number_unsigned_t,
      typename AnyJson::json_sax_t::string_t;

 public:
  explicit JsonBuilder(int kept_levels) : kept_levels_(kept_levels) {}

  bool null() override { return Add(nullptr) != nullptr; }
  bool boolean(bool value) override { return Add(value) != nullptr; }
  bool number_integer(number_integer_t value) override { return Add(value) != nullptr; }
  bool number_unsigned(number_unsigned_t value) override { return Add(value) != nullptr; }
  bool number_float(number_float_t value, const string_t&) override { return Add(value) != nullptr; }
  bool string(string_t& value) override { return Add(std::move(value)) != nullptr; }
  bool binary(binary_t&) override { return false; }
  bool key(string_t& value) override {
    key_ = std::move(value);
    return true;
  }
  bool start_object(size_t) override { return Open(AnyJson::object()); }
  bool start_array(size_t) override { return Open(AnyJson::array()); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    problem_ = fmt::format("wrong at byte {}", position);
    return false;
  }

  const std::string& problem() const { return problem_; }
  AnyJson Take() { return std::move(root_); }

 private:
  // Null: it may not be. What is left out is `dropped_`.
  AnyJson* Add(AnyJson value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (static_cast<int>(open_.size()) > kept_levels_) return &dropped_;
    AnyJson& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    if (kOrdered && parent.size() == kMostOrderedKeys) {
      problem_ = fmt::format("more than {} keys in one object", kMostOrderedKeys);
      return nullptr;
    }
    const auto [place, is_new] = parent.emplace(std::move(key_), std::move(value));
    if (is_new) return &*place;
    problem_ = fmt::format("\"{}\" comes twice in one object", Shown(place.key()));
    return nullptr;
  }
  bool Open(AnyJson container) {
    if (open_.size() == kDeepestJson) {
      problem_ = fmt::format("nested deeper than {} levels", kDeepestJson);
      return false;
    }
    AnyJson* place = Add(std::move(container));
    if (place != nullptr) open_.push_back(place);  // stays where it is: nothing is added beside it before it is closed
    return place != nullptr;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  static constexpr bool kOrdered = !std::is_same_v<AnyJson, Json>;
  const int kept_levels_;
  AnyJson root_, dropped_;
  std::vector<AnyJson*> open_;
  std::string key_, problem_;
};

template <typename AnyJson>
Result<AnyJson> Parse(std::string_view text, int kept_levels) {
  // The parser would stop there, content with what came before.
  if (text.find('\0') != std::string_view::npos) return Status(Code::kInvalidArgument, "a NUL byte");
  JsonBuilder<AnyJson> builder(kept_levels);
  if (!AnyJson::sax_parse(text, &builder)) return Status(Code::kInvalidArgument, builder.problem());
  return builder.Take();
}

}  // namespace

Result<Json> ParseJson(std::string_view text, int kept_levels) { return Parse<Json>(text, kept_levels); }

Result<nlohmann::ordered_json> ParseOrderedJson(std::string_view text) {
  return Parse<nlohmann::ordered_json>(text, kAllLevels);
}

Json JsonOrNull(std::string_view text) {
  auto json = ParseJson(text);
  return json.ok() ? std::move(*json) : Json();
}

const Json* FindMember(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

std::string TextOf(const Json& object, const char* name) {
  const Json* member = FindMember(object, name);
  return member != nullptr && member->is_string() ? member->get<std::string>() : "";
}

uint64_t CountOf(const Json& object, const char* name) {
  const Json* member = FindMember(object, name);
  return member != nullptr && member->is_number_unsigned() ? member->get<uint64_t>() : 0;
}

double NumberOf(const Json& object, const char* name) {
  const Json* member = FindMember(object, name);
  return member != nullptr && member->is_number() ? member->get<double>() : 0;
}

bool IsTrue(const Json& object, const char* name) {
  const Json* member = FindMember(object, name);
  return member != nullptr && member->is_boolean() && member->get<bool>();
}

}  // namespace headrace
