// headrace serve, put together.
#pragma once

#include "base/status.h"
#include "serve/models/settings.h"

namespace headrace::serve {

// Serves until SIGINT, SIGTERM or SIGHUP, then takes nothing new, lets requests finish for a minute at most, and
// ends its children. A second signal does not wait. Says on standard output where it listens.
// Errors: those of Listener::Open; of the load of settings.model when there are no others.
Status RunServer(const Settings& settings);

}  // namespace headrace::serve
