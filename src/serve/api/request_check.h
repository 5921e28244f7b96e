// Requests that a loaded model is not asked, though they are well formed: it would end, or answer what is worth
// nothing. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "http/http.h"
#include "serve/models/model.h"

namespace headrace::serve {

// What tells a request from others, for Culprits: what it asks of which model with which configuration.
uint64_t FingerprintOf(const Request& request, const LoadPlan& plan);

// True where the body asks for the probabilities of more than one token. llama-server 0.7.0 gives 0.0 for every token
// that was drafted.
bool WantsProbabilities(const std::string& body);

// kUnsupported with the reason and the remedy; OK for all others.
Status CheckRequest(const Request& request, const Model& model);

}  // namespace headrace::serve
