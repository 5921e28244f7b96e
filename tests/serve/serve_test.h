// Starts the real server on a free port, in a world of its own, and asks it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "command_runner.h"
#include "http_client.h"

namespace headrace::serve {

using Json = nlohmann::json;
using cli::Eventually;
using cli::Has;

inline constexpr const char* kDense = "austen-dense-q4_0";
inline constexpr const char* kMoe = "austen-moe-q4_0";
inline constexpr const char* kDraft = "austen-draft-f16";

struct Answer {
  int status = 0;
  Json body;  // discarded when it is no JSON
  std::string text;
  std::map<std::string, std::string> headers;

  std::string Error() const {
    return body.is_object() && body.contains("error") ? body["error"].value("message", "") : "";
  }
};

class ServeTest : public cli::CommandTest {
 protected:
  void SetUp() override;
  // Over the bundled models unless `arguments` name others. False, and a failure, when it does not listen.
  bool StartServer(std::vector<std::string> arguments = {"--models-dir", Models()});
  // The same through a shell, whose script ends with kExecServer.
  bool StartServerThrough(const std::string& script, std::vector<std::string> arguments);
  static constexpr const char* kExecServer = "exec \"$HEADRACE\" \"$@\" ";
  // SIGTERM; the exit status.
  cli::Outcome EndServer();

  static std::string Models() { return std::string(HEADRACE_SOURCE_DIR) + "/models"; }

  Answer Ask(const std::string& method, const std::string& target, const std::string& body = "",
             const HttpHeaders& headers = {});
  Answer Get(const std::string& target) { return Ask("GET", target); }
  Answer Post(const std::string& target, const Json& body) { return Ask("POST", target, body.dump()); }
  Answer Load(Json body) { return Post("/api/v1/models/load", body); }
  // A completion of a few tokens, the likeliest ones.
  Answer Complete(const std::string& model, int tokens = 8);
  // The state of a model in GET /api/v1/models, its element.
  Json Model(const std::string& id);
  // The library's counters of a loaded model; null when there are none.
  Json Flash(const std::string& id);
  // Bytes that this model has read from disk.
  uint64_t BytesRead(const std::string& id);
  // After it was started: reads the port from its output.
  bool WaitForServer();
  // Processes that the server started.
  std::vector<pid_t> Children() const { return server_->Children(); }

  std::string group_;  // file of a memory cgroup that lists its processes: the server starts there; "" for none
  uint16_t port_ = 0;
  std::unique_ptr<cli::RunningCommand> server_;
};

// A port that was free a moment ago.
uint16_t FreePort();

}  // namespace headrace::serve
