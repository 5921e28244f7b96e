// The descriptors 0 to 2, which may be closed, full, or read by nobody.
#pragma once

#include <string_view>

#include "base/descriptor.h"

namespace headrace {

// Puts a place-holder, on which every read and write fails, where one of them is closed: else a file that is opened
// later would take its number, and lines for the user would go into it. To be called before anything is opened.
void OpenStandardStreams();

// The open file `fd`, -1 for none, under a number above theirs: a program that closed them may still write into those
// numbers, or put something else in their place. Keeps errno.
Descriptor AboveStandardStreams(int fd);

// Writes all of it: 0, or the errno of what failed. A reader that is gone is EPIPE and no signal. Where the descriptor
// would block, it is waited for. Thread-safe, keeps errno.
int WriteAll(int fd, std::string_view text);

// The same where waiting for a reader would hold others up: EAGAIN when there is no room.
int WriteWhatFits(int fd, std::string_view text);

}  // namespace headrace
