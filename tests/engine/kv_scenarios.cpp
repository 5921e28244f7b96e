// What hosts do with a KV cache, on a context of a size that is asked for. Only a few outputs are dumped, so that the
// KV cache is most of the memory. With HEADRACE_TEST_FILL_DISK a file of that name takes all that is left of its disk
// when the context exists.
//
//   kv_scenarios SCENARIO --model A.gguf --out FILE [--context N] [--prompt N] [--batch N] [--decode N] [--sequences N]
//                [--cache-type f16|f32|q8_0] [--flash-attention 0|1] [--unified 0|1] ...
//     prompt      a prompt of N tokens, batch after batch, and N decode steps; --rounds times
//     shift       the same, then the first half of the positions is taken out, and more of both
//     state       the same, saved, restored into an empty context, and continued
//     save        the same, then the first sequence is saved in the file --state
//     load        loads it from there and continues
//     copy        the same, then all --sequences become the first one (--unified 0)
//     others      a prompt of one context, in whose eval callback a second one is freed and a third one is cleared:
//     --how callback, or
//                 thread (by a thread that the callback waits for); then more of the first and of the third
#include <fcntl.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <thread>

#include "llama_host.h"

namespace {

using namespace headrace::testing;

struct Setup {
  int prompt, batch, decode;
};

void Expect(int code, const char* what) {
  if (code != 0) Die("%s: llama returned %d", what, code);
}

void Compute(Session& session, const Setup& setup, DumpWriter& dump, const std::string& label) {
  for (int done = 0; done < setup.prompt; done += setup.batch) {
    Expect(session.Prompt(std::min(setup.batch, setup.prompt - done)), "prompt");
  }
  for (int step = 0; step < setup.decode; ++step) {
    Expect(session.Step(), "decode");
    session.Dump(dump, label + " step " + std::to_string(step));
  }
}

void Others(llama_model* model, SessionOptions options, const Setup& setup, DumpWriter& dump, const std::string& how) {
  auto second = std::make_unique<Session>(model, options, 2);
  Session third(model, options, 3);
  Compute(*second, setup, dump, "second");
  Compute(third, setup, dump, "third");
  struct InPass {
    std::function<void()> act;
    int asked = 0;
  } in_pass{[&] {
    const auto act = [&] {
      second.reset();
      third.Clear();
    };
    if (how == "callback") return act();
    std::thread(act).join();
  }};
  options.cb_eval = [](ggml_tensor*, bool ask, void* self) {
    auto* pass = static_cast<InPass*>(self);
    if (ask && ++pass->asked == 40) pass->act();
    return false;
  };
  options.cb_eval_data = &in_pass;
  Session first(model, options, 1);
  Compute(first, setup, dump, "first");
  Compute(third, setup, dump, "third again");
  Compute(first, {100, setup.batch, setup.decode}, dump, "first again");
}

ggml_type CacheType(const std::string& name) {
  for (const ggml_type type : {GGML_TYPE_F16, GGML_TYPE_F32, GGML_TYPE_Q8_0}) {
    if (name == ggml_type_name(type)) return type;
  }
  Die("unknown cache type %s", name.c_str());
}

// Writes a new file until the file system has no room left.
void FillDisk(const char* path) {
  const std::string zeros(1 << 20, '\0');
  const int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  for (size_t bytes = zeros.size(); bytes > 0; bytes /= 2) {
    while (write(fd, zeros.data(), bytes) == static_cast<ssize_t>(bytes)) {
    }
  }
  close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) Die("kv_scenarios SCENARIO --model A.gguf --out FILE ...");
  const std::string scenario = argv[1];
  const Options options(
      argc, argv, 2,
      {"--model", "--out", "--context", "--prompt", "--batch", "--decode", "--sequences", "--cache-type",
       "--flash-attention", "--unified", "--threads", "--rounds", "--state", "--how"});
  SessionOptions session_options;
  session_options.context_tokens = options.Int("--context", 1024);
  session_options.sequences = options.Int("--sequences", 1);
  session_options.ubatch = options.Int("--batch", 256) * session_options.sequences;
  session_options.threads = options.Int("--threads", 2);
  session_options.cache_type = CacheType(options.Text("--cache-type", "f16"));
  session_options.flash_attention = options.Int("--flash-attention", 1) != 0;
  session_options.unified = options.Int("--unified", 1) != 0;
  const Setup setup{options.Int("--prompt", 800), options.Int("--batch", 256), options.Int("--decode", 4)};

  StartEngine();
  const Model model = LoadModel(options.Text("--model", ""), false);
  if (scenario == "others") {
    DumpWriter dump(options.Text("--out", "/dev/null"));
    Others(model.get(), session_options, setup, dump, options.Text("--how", ""));
    return 0;
  }
  Session session(model.get(), session_options);
  if (const char* path = std::getenv("HEADRACE_TEST_FILL_DISK")) FillDisk(path);
  DumpWriter dump(options.Text("--out", "/dev/null"));
  const int rounds = scenario == "load" ? 0 : options.Int("--rounds", 1);
  for (int round = 0; round < rounds; ++round) {
    session.Clear();
    Compute(session, setup, dump, "round " + std::to_string(round));
  }
  const Setup more{100, setup.batch, setup.decode};
  if (scenario == "shift") {
    session.Shift(4, setup.prompt / 2);
    Compute(session, more, dump, "shifted");
  } else if (scenario == "state") {
    const std::vector<uint8_t> state = session.Save();
    Compute(session, more, dump, "saved");
    session.Clear();
    session.Restore(state);
    Compute(session, more, dump, "restored");
  } else if (scenario == "save") {
    session.SaveFile(options.Text("--state", ""));
  } else if (scenario == "load") {
    session.LoadFile(options.Text("--state", ""));
    Compute(session, more, dump, "loaded");
  } else if (scenario == "copy") {
    session.CopyFirst();
    Compute(session, more, dump, "copied");
  } else if (scenario != "prompt") {
    Die("unknown scenario %s", scenario.c_str());
  }
  return 0;
}
