// What a server says about its models, as lines for people. Pure.
#pragma once

#include <string>

#include "base/json.h"

namespace headrace::client {

// The models of GET /api/v1/models that have a process, or get one.
Json ModelsInMemory(const Json& models);

// A table of these, and the memory that is left.
std::string RenderServerModels(const Json& answer);

// "reading 1.00 GiB of 4.00 GiB", of one event of a load.
std::string LoadProgressText(const Json& event);

// "3 before it, about 40 s", "waiting for the model to be loaded": of the news of a request that waits.
std::string WaitingText(const Json& waiting);

}  // namespace headrace::client
