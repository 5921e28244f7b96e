#include "worker/client_memory.h"

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace headrace {
namespace {

TEST(ClientMemory, RefusesWhatDoesNotFit) {
  ClientMemory* memory = ClientMemory::Make(100);
  ASSERT_NE(memory, nullptr);
  const int account = memory->Open(10);
  ASSERT_EQ(account, 0);
  EXPECT_TRUE(memory->Take(account, 50));
  EXPECT_FALSE(memory->Take(account, 41));
  EXPECT_FALSE(memory->Take(account, UINT64_MAX));
  EXPECT_EQ(memory->free_bytes(), 40u);
  memory->GiveBack(account, 20);
  EXPECT_EQ(memory->free_bytes(), 60u);
  EXPECT_EQ(memory->Open(61), -1);
  EXPECT_EQ(memory->Open(60), 1);
  EXPECT_FALSE(memory->Take(account, 1));
}

TEST(ClientMemory, AClientThatHasGoneGivesEverythingBack) {
  ClientMemory* memory = ClientMemory::Make(100);
  ASSERT_NE(memory, nullptr);
  const int account = memory->Open(10);
  const pid_t client = fork();
  if (client == 0) _exit(memory->Take(account, 80) ? 0 : 1);
  int status = 0;
  ASSERT_EQ(waitpid(client, &status, 0), client);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(memory->free_bytes(), 10u);
  EXPECT_EQ(memory->Close(account), 90u);
  EXPECT_EQ(memory->free_bytes(), 100u);
  EXPECT_EQ(memory->Open(100), account);
}

TEST(ClientMemory, HasSomeAccounts) {
  ClientMemory* memory = ClientMemory::Make(100);
  ASSERT_NE(memory, nullptr);
  for (int account = 0; account < ClientMemory::kMostClients; ++account) ASSERT_EQ(memory->Open(1), account);
  EXPECT_EQ(memory->Open(1), -1);
  memory->Close(7);
  EXPECT_EQ(memory->Open(1), 7);
}

}  // namespace
}  // namespace headrace
