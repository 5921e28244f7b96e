#include "engine/engine_command_line.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace headrace::cli {
namespace {

constexpr const char* kHelp =
    "----- common params -----\n\n"
    "-h,    --help, --usage                  print usage and exit\n"
    "-t,    --threads N                      number of CPU threads\n"
    "                                        - none: not an option\n"
    "-c,    --ctx-size N                     size\n"
    "-n,    --predict, --n-predict N         number, see --not-here\n"
    "-p,    --prompt PROMPT                  prompt\n"
    "-f,    --file FNAME                     file\n"
    "-s,    --seed SEED                      RNG seed\n"
    "--temp, --temperature N                 temperature\n"
    "-m,    --model FNAME                    model path\n"
    "-lm,   --load-mode MODE                 model loading mode\n"
    "--warmup, --no-warmup                   warm-up\n"
    "-fit,  --fit [on|off]                   fit\n"
    "-lv,   --verbosity, --log-verbosity N   threshold\n"
    "-cnv,  --conversation, -no-cnv, --no-conversation\n"
    "                                        run in conversation mode\n"
    "-st,   --single-turn                    one turn\n"
    "--jinja, --no-jinja                     jinja\n"
    "--display-prompt, --no-display-prompt   print prompt\n"
    "--simple-io                             basic IO\n";

using Arguments = std::vector<std::string>;

bool Contains(const Arguments& all, const Arguments& part) {
  return std::search(all.begin(), all.end(), part.begin(), part.end()) != all.end();
}

TEST(ParseHelp, FindsNamesAndOnlyNames) {
  const OptionNames names = ParseHelp(kHelp);
  for (const char* name :
       {"-h", "--usage", "-n", "--n-predict", "--no-warmup", "-no-cnv", "--no-conversation", "--simple-io"}) {
    EXPECT_TRUE(names.Has(name)) << name;
  }
  for (const char* name : {"-", "--not-here", "N", "-----", "----- common", "none:"})
    EXPECT_FALSE(names.Has(name)) << name;
  // llama-bench's layout.
  const OptionNames bench =
      ParseHelp("options:\n  -m, --model <filename>    (default: x)\n  -ot --override-tensor <a>=<b>\n");
  EXPECT_TRUE(bench.Has("-m"));
  EXPECT_TRUE(bench.Has("--override-tensor"));
  EXPECT_TRUE(ParseHelp("").empty());
}

TEST(ParseVersion, OldAndNew) {
  EXPECT_EQ(ParseVersion("noise\nversion: 0.7.0 (build 11669, commit Debian)\nbuilt with"),
            "0.7.0 (build 11669, commit Debian)");
  EXPECT_EQ(ParseVersion("version: 5061 (abc)"), "5061 (abc)");
  EXPECT_EQ(ParseVersion("nothing"), "");
}

class RunArgumentsTest : public testing::Test {
 protected:
  Arguments Build() {
    const auto built = BuildRunArguments(run_, ParseHelp(kHelp));
    EXPECT_TRUE(built.ok()) << built.status().message();
    return built.ok() ? built->words() : Arguments{};
  }
  RunArguments run_{.model = "m.gguf", .prompt = "Once"};
};

TEST_F(RunArgumentsTest, BaseModelContinuesTheText) {
  EXPECT_EQ(Build(), (Arguments{"-m", "m.gguf", "-p", "Once", "-c", "4096", "--no-warmup", "--fit", "off", "-no-cnv",
                                "--simple-io", "-lv", "1"}));
}

TEST_F(RunArgumentsTest, ChatTemplateAnswersOneTurn) {
  run_.use_chat_template = true;
  const Arguments built = Build();
  EXPECT_TRUE(Contains(built, {"-st", "--jinja", "--no-display-prompt"}));
  EXPECT_FALSE(Contains(built, {"-no-cnv"}));
}

TEST_F(RunArgumentsTest, AModelfilesWishesComeAfterTheUsersOwn) {
  run_.defaults = {{{"--temp", "--temperature"}, "0.5"},
                   {{"-c", "--ctx-size"}, "512"},
                   {{"-s", "--seed"}, "7"},
                   {{"-f", "--file"}, "a"},
                   {{"-f", "--file"}, "b"}};
  const Arguments file = Build();
  for (const Arguments& part : {Arguments{"--temp", "0.5"}, {"-c", "512"}, {"-s", "7"}, {"-f", "a", "-f", "b"}})
    EXPECT_TRUE(Contains(file, part));
  EXPECT_FALSE(Contains(file, {"-c", "4096"}));
  run_.settings.seed = "8";
  run_.settings.context = "64";
  run_.rest = {"--temperature", "1"};
  const Arguments own = Build();
  for (const Arguments& part : {Arguments{"-s", "8"}, {"-c", "64"}, {"--temperature", "1"}})
    EXPECT_TRUE(Contains(own, part));
  for (const Arguments& part : {Arguments{"-s", "7"}, {"-c", "512"}, {"--temp", "0.5"}})
    EXPECT_FALSE(Contains(own, part));
  run_.defaults = {{{"--no-such"}, "1"}};
  EXPECT_EQ(BuildRunArguments(run_, ParseHelp(kHelp)).status().code(), Code::kUnsupported);
}

TEST_F(RunArgumentsTest, ASystemPrompt) {
  const OptionNames known = ParseHelp(std::string(kHelp) + "-sys,  --system-prompt PROMPT  system\n");
  run_.system_prompt = "You are Jane.";
  EXPECT_TRUE(Contains(BuildRunArguments(run_, known)->words(), {"-sys", "You are Jane."}));
  run_.rest = {"--system-prompt", "You are Emma."};
  EXPECT_FALSE(Contains(BuildRunArguments(run_, known)->words(), {"-sys"}));
}

TEST_F(RunArgumentsTest, ChatHasNeitherPromptNorMode) {
  run_.prompt.reset();
  const Arguments built = Build();
  for (const char* name : {"-p", "-st", "-no-cnv", "--simple-io"}) EXPECT_FALSE(Contains(built, {name})) << name;
}

TEST_F(RunArgumentsTest, StreamingKeepsTheMapping) {
  EXPECT_FALSE(Contains(Build(), {"--load-mode"}));
  run_.streams = true;
  EXPECT_TRUE(Contains(Build(), {"--load-mode", "mmap"}));
  run_.rest = {"-lm", "none"};
  EXPECT_FALSE(Contains(Build(), {"--load-mode"}));
  run_.rest = {"--load-mode", "none"};
  const Arguments built = Build();
  EXPECT_TRUE(Contains(built, {"--load-mode", "mmap"})) << "a copy of the weights cannot stream";
  EXPECT_EQ(std::count(built.begin(), built.end(), "--load-mode"), 1);
}

TEST_F(RunArgumentsTest, ContextIsTheModelsUpToADefaultUnlessAsked) {
  run_.model_context = 512;
  EXPECT_TRUE(Contains(Build(), {"-c", "512"}));
  run_.model_context = 131072;
  EXPECT_TRUE(Contains(Build(), {"-c", "4096"}));
  run_.settings.context = "8192";
  EXPECT_TRUE(Contains(Build(), {"-c", "8192"}));
  run_.settings.context.reset();
  run_.rest = {"--ctx-size", "77"};
  EXPECT_FALSE(Contains(Build(), {"-c"}));
}

TEST_F(RunArgumentsTest, SettingsAndRest) {
  run_.settings = {"64", std::nullopt, "3", "7", "0"};
  run_.rest = {"--top-k", "1"};
  const Arguments built = Build();
  EXPECT_TRUE(Contains(built, {"-n", "64", "-t", "3", "-s", "7", "--temp", "0"}));
  EXPECT_EQ(Arguments(built.end() - 2, built.end()), run_.rest.words());
}

TEST_F(RunArgumentsTest, DebugLetsTheEngineLog) {
  run_.debug = true;
  EXPECT_FALSE(Contains(Build(), {"-lv"}));
}

TEST_F(RunArgumentsTest, AModelThatLooksLikeAnOptionIsAPath) {
  run_.model = "-m.gguf";
  EXPECT_TRUE(Contains(Build(), {"-m", "./-m.gguf"}));
}

TEST_F(RunArgumentsTest, UnknownDefaultsAreLeftOutUnknownWishesAreErrors) {
  const OptionNames old = ParseHelp("-m, --model FNAME\n-p, --prompt PROMPT\n");
  EXPECT_EQ(BuildRunArguments(run_, old)->words(), (Arguments{"-m", "m.gguf", "-p", "Once"}));
  run_.settings.seed = "1";
  const auto built = BuildRunArguments(run_, old);
  ASSERT_FALSE(built.ok());
  EXPECT_EQ(built.status().code(), Code::kUnsupported);
}

TEST(BenchArguments, JsonAndSizes) {
  const OptionNames known = ParseHelp(
      "-m, --model\n -o, --output\n -p, --n-prompt\n -n, --n-gen\n -r, --repetitions\n -t, --threads\n -lm, "
      "--load-mode\n");
  BenchArguments bench{.model = "m.gguf", .threads = "2", .streams = true, .rest = {"--n-gen", "5"}};
  EXPECT_EQ(BuildBenchArguments(bench, known)->words(), (Arguments{"-m", "m.gguf", "-o", "json", "-p", "512", "-r", "2",
                                                                   "-t", "2", "--load-mode", "mmap", "--n-gen", "5"}));
}

// llama-bench divides devices by slashes, and what it measures one after the other by commas. Workers it does not.
TEST(BenchArguments, SeveralDevicesAndWorkers) {
  const OptionNames known = ParseHelp("-m, --model\n -o, --output\n -dev, --device\n -ngl\n -rpc, --rpc\n");
  BenchArguments bench{.model = "m.gguf", .defaults = {WithValue(OptionId::kDevices, "RPC0,RPC2")}};
  bench.rest = {"--rpc", "a:1,b:2", "-ngl", "3,5"};
  EXPECT_EQ(BuildBenchArguments(bench, known)->Value(OptionId::kDevices), "RPC0/RPC2");
  EXPECT_EQ(BenchMemoryArguments(bench).Value(OptionId::kDevices), "RPC0,RPC2");
  EXPECT_EQ(BenchMemoryArguments(bench).Value(OptionId::kRemote), "a:1,b:2");
  EXPECT_EQ(BenchMemoryArguments(bench).Value(OptionId::kLayers), "5");
  bench.rest = {"-dev", "CUDA0,CUDA0/RPC0"};
  EXPECT_EQ(BenchMemoryArguments(bench).Value(OptionId::kDevices), "CUDA0,RPC0");
}

TEST(ServerArguments, OneModelOnASocket) {
  const OptionNames known = ParseHelp(
      "-m\n--host\n-a\n-c\n-np\n-ctk\n-ctv\n-md\n--spec-type\n-mm\n--embeddings\n--pooling\n--metrics\n"
      "--no-warmup\n--load-mode\n--cache-ram\n-lv\n");
  ServerArguments server{.model = "m.gguf", .socket = "/s.sock", .alias = "m", .context = 512};
  EXPECT_EQ(BuildServerArguments(server, known)->words(),
            (Arguments{"-m", "m.gguf", "--host", "/s.sock", "-a", "m", "-c", "512", "--metrics", "--no-warmup",
                       "--cache-ram", "0", "-lv", "1"}));
  server.slots = 2;
  server.kv_cache_type = "q8_0";
  server.draft_model = "d.gguf";
  server.speculation = {{{"--spec-type"}, "draft-simple"}};
  server.projector = "p.gguf";
  server.embedding = server.streams = true;
  const Arguments all = BuildServerArguments(server, known)->words();
  for (const Arguments& part : {Arguments{"-np", "2"},
                                {"-ctk", "q8_0", "-ctv", "q8_0"},
                                {"-md", "d.gguf", "--spec-type", "draft-simple"},
                                {"-mm", "p.gguf"},
                                {"--embeddings", "--pooling", "mean"},
                                {"--load-mode", "mmap"}}) {
    EXPECT_TRUE(Contains(all, part)) << part.front();
  }
  server.has_pooling = true;
  EXPECT_FALSE(Contains(BuildServerArguments(server, known)->words(), {"--pooling"})) << "the model's own";
  EXPECT_FALSE(BuildServerArguments(server, ParseHelp("-m\n")).ok());
  // Of a Modelfile.
  server.defaults = {{{"--temp"}, "0.5"}, {{"-s", "--seed"}, "1"}};
  server.rest = {"--seed", "2"};
  const Arguments defaults =
      BuildServerArguments(server,
                           ParseHelp("-m\n--host\n-a\n-np\n-ctk\n-ctv\n-md\n--spec-type\n-mm\n--temp\n--seed\n"))
          ->words();
  EXPECT_TRUE(Contains(defaults, {"--temp", "0.5"}));
  EXPECT_FALSE(Contains(defaults, {"--seed", "1"}));
}

TEST(ServerArguments, RequestsShareOneCache) {
  const OptionNames known =
      ParseHelp("-m\n--host\n-a\n-c\n-np\n-kvu\n--kv-unified-per-slot\n-b\n-ub\n--slot-save-path\n");
  ServerArguments server{.model = "m.gguf", .socket = "/s.sock", .alias = "m", .context = 512};
  server.chosen_slots = 16;
  server.pool_tokens = 1024;
  server.batch_tokens = 32;
  server.slot_folder = "/prompts";
  EXPECT_EQ(BuildServerArguments(server, known)->words(),
            (Arguments{"-m", "m.gguf", "--host", "/s.sock", "-a", "m", "-c", "1024", "-np", "16", "-kvu",
                       "--kv-unified-per-slot", "512", "--slot-save-path", "/prompts", "-b", "32", "-ub", "32"}));
  server.rest = {"-np", "2", "--no-kv-unified", "--ubatch-size", "64"};
  const Arguments said = BuildServerArguments(server, known)->words();
  EXPECT_FALSE(Contains(said, {"-kvu"}));
  EXPECT_FALSE(Contains(said, {"-np", "16"}));
  EXPECT_FALSE(Contains(said, {"-ub", "32"}));
}

}  // namespace
}  // namespace headrace::cli
