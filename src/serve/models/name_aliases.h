// Further names of models, of --alias NAME=MODEL. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace headrace::serve {

struct NameAlias {
  std::string name;   // what requests say
  std::string model;  // an id, or another name that a model has
};

// Of "NAME=MODEL" each. Errors: kInvalidArgument: one that is not of this form, or two of one name.
Result<std::vector<NameAlias>> ParseAliases(const std::vector<std::string>& texts);

// What `name` stands for: the model of the alias that is called so in whatever letters, with or without ":latest"; else
// itself.
std::string WithoutAlias(const std::vector<NameAlias>& aliases, const std::string& name);

}  // namespace headrace::serve
