// Lines for the user, to standard error: the library says a few in somebody else's process (base/log.h), the command
// all of its own. A standard error that is closed, full or read by nobody loses them and stops nothing.
#pragma once

#include <string_view>

namespace headrace {

// Writes "headrace: <line>\n" in one write(2), so that lines of several threads do not mix. Thread-safe, never fails,
// keeps errno.
void Say(std::string_view line);
// The same, also behind LeaveOutNotes: what is wrong, and what somebody must know.
void SayError(std::string_view line);
// From now on Say writes nothing (--quiet).
void LeaveOutNotes();
bool NotesLeftOut();
// Text as it is, without a prefix and a line break.
void SayRaw(std::string_view text);

// Lines go to what descriptor 2 is now, and to a terminal: a program that closes it and opens a file of its own there
// gets none into that. Set when this is loaded; again by who opens or moves the descriptor on purpose.
void RememberStandardError();

// From now on each line begins with the time, for who reads a log later.
void BeginLinesWithTime();
// Whether standard error is read later, by somebody to whom nothing else says when a line came: it is no terminal and
// not systemd's journal.
bool IsErrorKeptWithoutTime();

// From now on a line for which a slow reader leaves no room is left out, instead of waiting for it: for a process that
// answers others.
void NeverWaitForReader();

}  // namespace headrace
