// Clients of a worker that speak its protocol only as far as it harms: messages that are no messages, and larger ones
// than there is memory.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/size.h"
#include "worker_process.h"

namespace headrace::serve {
namespace {

using Words = std::vector<std::string>;

// Commands of the engine's protocol: a byte, a size of eight, so many bytes.
constexpr int kSetTensor = 6, kGraphCompute = 10, kHello = 14;

class RawClient {
 public:
  explicit RawClient(const std::string& address) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const size_t colon = address.rfind(':');
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(colon + 1))));
    inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  }
  RawClient(const RawClient&) = delete;
  ~RawClient() { close(socket_); }

  void Send(int command, uint64_t size, const std::string& content) const {
    std::string message(1, static_cast<char>(command));
    message.append(reinterpret_cast<const char*>(&size), sizeof size);
    message += content;
    (void)!send(socket_, message.data(), message.size(), MSG_NOSIGNAL);
  }
  // Other commands are refused before. False: there was no answer.
  bool Greet() const {
    Send(kHello, 24, std::string(24, '\0'));
    char answer[36];
    return recv(socket_, answer, sizeof answer, MSG_WAITALL) == sizeof answer;
  }
  void Finish() const { shutdown(socket_, SHUT_WR); }
  // Waits until the other side has closed it.
  void WaitForEnd() const {
    char byte;
    while (recv(socket_, &byte, 1, 0) > 0) {
    }
  }
  // Whether it is open still: nothing has come.
  bool IsOpen() const {
    char byte;
    return recv(socket_, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
  }

 private:
  const int socket_;
};

// Of all processes of a group: what is not of files.
uint64_t MemoryOfGroup(pid_t group) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos || getpgid(std::stoi(name)) != group) continue;
    std::ifstream file(entry.path() / "smaps_rollup");
    for (std::string key, line; file >> key && std::getline(file, line);) {
      if (key == "Pss_Anon:") bytes += std::stoull(line) * kKiB;
    }
  }
  return bytes;
}

class HostileClients : public WorkersTest {
 protected:
  void ExpectAWorkingWorker() {
    const auto plan = Run(Words{"plan", CommandTest::Model(), "--ram", "600M", "--workers", worker_});
    EXPECT_EQ(plan.status, 0) << plan.err;
    EXPECT_TRUE(Has(plan.err, "worker " + worker_ + ": ")) << plan.err;
  }
};

TEST_F(HostileClients, WhatIsNoMessageEndsItsOwnConnection) {
  ASSERT_TRUE(StartWorker());
  for (const bool greets : {false, true}) {
    for (int command = 0; command < 32; ++command) {
      const RawClient client(worker_);
      ASSERT_TRUE(!greets || client.Greet()) << "the worker has gone before command " << command;
      client.Send(command, uint64_t{1} << 40, std::string(64, '\x7f'));
      client.Finish();
      client.WaitForEnd();
    }
  }
  ExpectAWorkingWorker();
  EXPECT_EQ(EndWorker().status, 0);
}

// Each of their messages has room, all of them do not.
TEST_F(HostileClients, MessagesOfManyStayWithinTheBudget) {
  constexpr uint64_t kBudget = 400 * kMiB, kMessage = 150 * kMiB;
  ASSERT_TRUE(StartWorker({"--ram", "400M"}));
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(worker_));
    ASSERT_TRUE(clients.back()->Greet());
  }
  for (const auto& client : clients) client->Send(kSetTensor, kMessage, "only a few of its bytes");
  // The first one's memory is taken, and there are two whom it refuses or not.
  ASSERT_TRUE(Eventually([&] { return MemoryOfGroup(worker_process_->pid()) >= kMessage; }));
  const auto open = [&] {
    int count = 0;
    for (const auto& client : clients) count += client->IsOpen();
    return count;
  };
  EXPECT_TRUE(Eventually([&] { return open() == 1; })) << open();
  EXPECT_LE(MemoryOfGroup(worker_process_->pid()), kBudget);
  clients.clear();
  ExpectAWorkingWorker();
  const auto said = EndWorker();
  EXPECT_EQ(said.status, 0) << said.err;
  EXPECT_TRUE(Has(said.err, "sent needs 150 MiB at once: ")) << said.err;
  EXPECT_TRUE(Has(said.err, "its connection is closed")) << said.err;
}

// Memory for two.
TEST_F(HostileClients, WhoComesWhenAnotherGoesHasItsMemory) {
  ASSERT_TRUE(StartWorker({"--ram", "170M"}));
  auto first = std::make_unique<RawClient>(worker_);
  const RawClient second(worker_);
  ASSERT_TRUE(first->Greet());
  ASSERT_TRUE(second.Greet());
  const RawClient third(worker_);
  usleep(100'000);  // it is looked at before the first one goes
  first.reset();
  EXPECT_TRUE(third.Greet());
  EXPECT_FALSE(RawClient(worker_).Greet());
  const auto said = EndWorker();
  EXPECT_TRUE(Has(said.err, "there is no memory for another client")) << said.err;
}

// While others wait in the middle of theirs, a client that behaves is served.
TEST_F(HostileClients, OthersAreServedMeanwhile) {
  const std::string plain = Plainly("16");
  ASSERT_TRUE(StartWorker({"--ram", "700M"}));
  const RawClient silent(worker_), waits(worker_);
  ASSERT_TRUE(waits.Greet());
  waits.Send(kGraphCompute, 100 * kMiB, "");
  const auto outcome = Ask(AnswerWords("16") + Words{"--flash-mode", "on", "--workers", worker_});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(cli::SameText(outcome.out, plain)) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "RPC0 (" + worker_ + ") has ")) << outcome.err;
}

}  // namespace
}  // namespace headrace::serve
