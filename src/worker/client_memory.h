// The memory that a worker's clients have, within its budget. Each client has a process of its own: the accounts lie in
// memory that all of them share.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>

namespace headrace {

class ClientMemory {
 public:
  static constexpr int kMostClients = 64;

  // In memory that is shared with all processes that are forked from now on. Null where the system has none.
  static ClientMemory* Make(uint64_t bytes);

  // The process that forks: the account of a client that has come, with what it needs beside buffers. -1: there is no
  // account or no memory for it.
  int Open(uint64_t beside_bytes);
  // Everything of it is free again. Returns what it had.
  uint64_t Close(int account);

  // The client's own process: charges what is about to be allocated. False: it does not fit, and nothing is charged.
  bool Take(int account, uint64_t bytes);
  void GiveBack(int account, uint64_t bytes);
  uint64_t held_bytes(int account) const { return accounts_[account].bytes; }

  uint64_t all_bytes() const { return all_; }
  uint64_t free_bytes() const { return all_ - used_; }

 private:
  struct Account {
    bool open = false;  // the forking process's alone
    std::atomic<uint64_t> bytes = 0;
  };

  explicit ClientMemory(uint64_t bytes) : all_(bytes) {}

  const uint64_t all_;
  std::atomic<uint64_t> used_ = 0;
  Account accounts_[kMostClients];
};

// What each client needs beside its buffers: a message that arrives, what kernels work in, small blocks, stacks of
// `threads`.
uint64_t BesideBytes(uint64_t threads);

}  // namespace headrace
