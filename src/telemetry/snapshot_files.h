// Where snapshots lie, so that other programs find them: files named headrace-PID-XXXXXX in a folder for such things.
// PID is the process that takes the file away again: one that uses the library, or one that started it and reads how it
// went. A further process that reports at the same time has the same name and its own number behind it.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace headrace {

// /dev/shm, else $TMPDIR, else /tmp.
std::vector<std::string> SnapshotFolders();

// An empty one of this process, readable by this user alone, whose disk space or memory is reserved. Error: kIo, naming
// what is wrong with each folder.
Result<std::string> CreateSnapshotFile();

// Takes the space of a snapshot in the open file, so that nothing can fail when it is written through a mapping: where
// a file system is full that would end the process (SIGBUS). What the file holds stays. 0, or an errno.
int ReserveSnapshot(int fd);

// All in those folders, whoever made them, by name. What is in them may be anything.
std::vector<std::string> FindSnapshotFiles(const std::vector<std::string>& folders = SnapshotFolders());

// `path` and those of further processes beside it.
std::vector<std::string> SnapshotFilesOf(const std::string& path);

// Removes the file when it is surely nobody's any more: it is this user's regular file, a snapshot or empty, no process
// writes it, and the process that its name says is gone. True when it was removed.
bool RemoveIfAbandoned(const std::string& path);

}  // namespace headrace
