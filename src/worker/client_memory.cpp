#include "worker/client_memory.h"

#include <sys/mman.h>

#include <new>

#include "base/size.h"
#include "worker/worker_limits.h"

namespace headrace {

ClientMemory* ClientMemory::Make(uint64_t bytes) {
  void* shared = mmap(nullptr, sizeof(ClientMemory), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return shared == MAP_FAILED ? nullptr : new (shared) ClientMemory(bytes);
}

int ClientMemory::Open(uint64_t beside_bytes) {
  for (int account = 0; account < kMostClients; ++account) {
    if (accounts_[account].open) continue;
    if (!Take(account, beside_bytes)) return -1;
    accounts_[account].open = true;
    return account;
  }
  return -1;
}

uint64_t ClientMemory::Close(int account) {
  const uint64_t bytes = accounts_[account].bytes.exchange(0);
  used_ -= bytes;
  accounts_[account].open = false;
  return bytes;
}

bool ClientMemory::Take(int account, uint64_t bytes) {
  uint64_t used = used_;
  do {
    if (bytes > all_ - used) return false;
  } while (!used_.compare_exchange_weak(used, used + bytes));
  accounts_[account].bytes += bytes;
  return true;
}

void ClientMemory::GiveBack(int account, uint64_t bytes) {
  accounts_[account].bytes -= bytes;
  used_ -= bytes;
}

uint64_t BesideBytes(uint64_t threads) { return kMessageBytes + kSmallBytes + threads * kStackBytes; }

}  // namespace headrace
