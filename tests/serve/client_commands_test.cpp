// headrace ps, load, unload, stop and chat, asked of a real server.
#include <csignal>

#include "pseudo_terminal.h"
#include "serve_test.h"

namespace headrace::serve {
namespace {

using cli::Has;
using cli::Outcome;

class ClientCommands : public ServeTest {
 protected:
  bool Begin(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"--models-dir", Models(), "--models-max", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    if (!StartServer(arguments)) return false;
    environment_["HEADRACE_SERVER"] = std::to_string(port_);
    return true;
  }
};

TEST_F(ClientCommands, LoadPsUnload) {
  ASSERT_TRUE(Begin());
  EXPECT_TRUE(Has(Run({"ps"}).out, "no model is loaded"));
  Outcome outcome = Run({"load", "AUSTEN-dense-q4_0", "--flash-mode", "on", "--weights-ram", "4M", "--once"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "austen-dense-q4_0 is loaded")) << outcome.err;
  EXPECT_GT(Flash(kDense)["streamed_bytes_per_pass"], 0);
  EXPECT_TRUE(Model(kDense)["remembered"].empty()) << Model(kDense);
  outcome = Run({"ps"});
  EXPECT_TRUE(Has(outcome.out, "austen-dense-q4_0  loaded")) << outcome.out;
  const Json listed = Json::parse(Run({"ps", "--json"}).out, nullptr, false);
  ASSERT_TRUE(listed.is_object() && listed["models"].size() == 1) << listed;
  EXPECT_EQ(listed["models"][0]["id"], kDense);
  const Json loaded = Json::parse(Run({"load", kMoe, "-c", "512", "--json", "-q"}).out, nullptr, false);
  EXPECT_EQ(loaded["configuration"]["context_length"], 512) << loaded;
  EXPECT_EQ(Model(kMoe)["remembered"]["context_length"], 512);
  EXPECT_TRUE(Has(Run({"unload", kMoe}).err, "is unloaded"));
  EXPECT_TRUE(Has(Run({"unload", kMoe}).err, "was not loaded"));
  EXPECT_EQ(Json::parse(Run({"unload", kDense, "--force", "--json"}).out, nullptr, false)["was_loaded"], true);
  EXPECT_TRUE(Children().empty());
}

TEST_F(ClientCommands, ErrorsSayWhatToDo) {
  environment_["HEADRACE_SERVER"] = "1";
  for (const char* command : {"ps", "stop"}) ExpectError({command}, 2, "headrace serve");
  ExpectError({"chat", kDense, "Hi"}, 2, "headrace serve");
  ExpectError({"load", "x", "--ram", "many"}, 2, "--ram");
  ASSERT_TRUE(Begin({"--api-key", "secret"}));
  ExpectError({"ps"}, 2, "HEADRACE_API_KEY");
  environment_["HEADRACE_API_KEY"] = "secret";
  EXPECT_EQ(Run({"ps"}).status, 0);
  ExpectError({"load", "austen-dens"}, 2, "austen-dense-q4_0");
  ExpectError({"load", kDense, "--flash-mode", "maybe"}, 2, "flash_mode");
  ExpectError({"load", kDense, "--ram", "1M"}, 2, "MiB");
  ExpectError({"unload", "nothing"}, 2, "nothing");
  ExpectError({"chat", kDense, "--json", "--server", "ftp://x", "Hi"}, 2, "ftp://x");
  ExpectError({"chat", "nothing", "Hi"}, 2, "nothing");
}

TEST_F(ClientCommands, ChatAnswersOnce) {
  ASSERT_TRUE(Begin());
  const std::vector<std::string> words{"chat", kDense, "Emma", "-n", "6", "--temp", "0"};
  const Outcome once = Run(words);
  EXPECT_EQ(once.status, 0) << once.err;
  const Json direct = Post("/v1/chat/completions", {{"model", kDense},
                                                    {"messages", {{{"role", "user"}, {"content", "Emma"}}}},
                                                    {"max_tokens", 6},
                                                    {"temperature", 0}})
                          .body;
  const std::string text = direct["choices"][0]["message"]["content"];
  EXPECT_EQ(once.out, text + "\n");
  EXPECT_TRUE(Has(once.err, "6 tokens")) << once.err;
  EXPECT_EQ(Shell("printf Emma | \"$HEADRACE\" chat " + std::string(kDense) + " -n 6 --temp 0 -q").out, text + "\n");
  std::vector<std::string> json_words = words;
  json_words.emplace_back("--json");
  const Json json = Json::parse(Run(json_words).out, nullptr, false);
  EXPECT_EQ(json["content"], text);
  EXPECT_EQ(json["usage"]["completion_tokens"], 6);
  EXPECT_EQ(json["finish_reason"], "length");
  EXPECT_EQ(Shell("\"$HEADRACE\" chat </dev/null").status, 2);
}

TEST_F(ClientCommands, ChatOnATerminal) {
  ASSERT_TRUE(Begin());
  environment_["TERM"] = "xterm";
  cli::PseudoTerminal terminal({HEADRACE_COMMAND, "chat", kDense}, environment_, 80, 24);
  ASSERT_TRUE(terminal.WaitFor("> ")) << terminal.drawn();
  terminal.Forget();
  terminal.Type("It is a truth\r");
  // An answer without a limit: it is stopped.
  ASSERT_TRUE(terminal.WaitFor("It is a truth")) << terminal.drawn();
  ASSERT_TRUE(cli::Eventually([&] { return Model(kDense)["loaded"].is_object() && BytesRead(kDense) == 0; }));
  ASSERT_TRUE(cli::Eventually([&] { return Model(kDense)["loaded"]["requests"] == 1; }));
  terminal.Type("\x03");
  ASSERT_TRUE(terminal.WaitFor("stopped")) << terminal.drawn();
  EXPECT_TRUE(cli::Eventually([&] { return Model(kDense)["loaded"]["requests"] == 0; }));
  terminal.Forget();
  terminal.Type("/clear\r");
  // Not the prompt before: what is typed between two prompts is the terminal's.
  EXPECT_TRUE(terminal.WaitFor("a new conversation\r\n> ")) << terminal.drawn();
  terminal.Type("\x04");
  EXPECT_EQ(terminal.Finish(), 0) << terminal.drawn();
}

TEST_F(ClientCommands, StopEndsTheServer) {
  ASSERT_TRUE(Begin());
  ASSERT_EQ(Complete(kDense, 1).status, 200);
  EXPECT_EQ(Post("/api/v1/stop", {{"now", "yes"}}).status, 400);
  EXPECT_EQ(Get("/api/v1/stop").status, 405);
  const Outcome outcome = Run({"stop"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "has ended")) << outcome.err;
  EXPECT_EQ(server_->Finish().status, 0);
}

TEST_F(ClientCommands, StopWaitsForAnswersUnlessNow) {
  for (const bool now : {false, true}) {
    ASSERT_TRUE(Begin());
    HttpClient client(port_);
    const Json body{
        {"model", kDense}, {"prompt", "It is"}, {"max_tokens", 300}, {"stream", true}, {"ignore_eos", true}};
    client.Send("POST", "/v1/completions", body.dump());
    ASSERT_TRUE(client.ReadHead().status == 200 && client.ReadUntil("data: "));
    const Outcome outcome = now ? Run({"stop", "--now"}) : Run({"stop"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(client.ReadUntil("[DONE]"), !now);
    EXPECT_EQ(server_->Finish().status, 0);
  }
}

}  // namespace
}  // namespace headrace::serve
