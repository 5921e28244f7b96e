// The live screen of `headrace top`, on a terminal.
#pragma once

#include "base/status.h"
#include "top/watch.h"

namespace headrace::top {

// Draws until the user quits. Error: kUnsupported for a terminal that cannot be drawn on.
Status ShowScreen(Watch& watch, double interval_s);

}  // namespace headrace::top
