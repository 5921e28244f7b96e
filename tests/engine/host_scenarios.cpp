// What host programs do beside one prompt after another. Each scenario writes a dump, so that stock llama.cpp
// and a preloaded run can be compared.
//
//   host_scenarios SCENARIO --model A.gguf --out FILE [--second B.gguf] [--repack 0|1] [--threads N] [--sequences N]
//   ...
//     alternate   two models (--second) or two contexts of one, decoding in turn
//     parallel    the same, each in a thread of its own
//     reload      load, compute, free; twice over both models. With headrace: what streams and what does not is told of
//     each moment rewrite     load, compute, free; then the file of the model gets the bytes of --second, by --change
//     inplace, anew (removed and made
//                 again) or moved; and the same again. Says "streams 0" or "streams 1" of both with headrace
//     pointer     load from an open file that has no name any more (--change delete), or that of another file (--change
//     replace) free        a prompt, in whose eval callback another model (--second), which has computed before, is
//     freed: --how callback, thread
//                 (by a thread that the callback waits for), munmap (by a thread, while the callback unmaps memory of
//                 its own), set (the same, while it sets the budget), other (the callback frees it and loads and
//                 computes with --third, where it lay)
//     advice      load, compute; says what the kernel does in the model's mapping (AdviceInModels)
//     errors      failures of all kinds, one after the other, each with what headrace_last_error says
//     cycles      load, compute, free, --rounds times; says what the process holds after each
//     resize      prompts and tokens in --rounds, while a thread changes headrace's budget again and again, between
//                 --least and --most KiB; nothing changes without headrace
//     together    a target (--model), a draft (--second), two contexts of the target and one for embeddings, in turn;
//     says the
//                 most that the process held, without pages of models
//     callback    an eval callback that asks for --nodes all|some|products|none and hashes what it sees
//     abort       an abort callback that fires in the middle of the second of three prompts, with --at 0 of the first;
//     dumps the others retry       one prompt and --decode tokens; a call that fails is made once more, and its code
//     said rounds      --rounds N prompts; before round --at the model file is changed: --change truncate,
//                 overwrite, delete, replace or none. Says "round I code C" and goes on after an error.
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <iterator>
#include <optional>
#include <random>
#include <thread>

#include "ggml-backend.h"
#include "headrace/headrace.h"
#include "llama_host.h"

namespace {

using namespace headrace::testing;

// A function of headrace's, null without it.
template <typename Function>
Function* OfHeadrace(Function*, const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}
#define OF_HEADRACE(name) OfHeadrace(&::name, #name)

// None without headrace.
std::optional<headrace_stats> Statistics() {
  const auto get = OF_HEADRACE(headrace_get_stats);
  headrace_stats stats{};
  stats.struct_size = sizeof stats;
  if (get == nullptr) return std::nullopt;
  if (get(&stats) != 0) Die("no statistics");
  return stats;
}

struct Setup {
  std::string model, second, out;
  bool repack;
  int prompt, decode;
  SessionOptions session;
};

void Expect(int code, const std::string& what) {
  if (code != 0) Die("%s: llama returned %d", what.c_str(), code);
}

void Compute(Session& session, const Setup& setup, DumpWriter& dump, const std::string& label) {
  session.Clear();
  Expect(session.Prompt(setup.prompt), label);
  session.Dump(dump, label);
  for (int step = 0; step < setup.decode; ++step) {
    Expect(session.Step(), label);
    session.Dump(dump, label + " step " + std::to_string(step));
  }
}

void Alternate(const Setup& setup) {
  const Model first = LoadModel(setup.model, setup.repack);
  const Model second = setup.second.empty() ? nullptr : LoadModel(setup.second, setup.repack);
  Session a(first.get(), setup.session, 1);
  Session b(second ? second.get() : first.get(), setup.session, 2);
  DumpWriter dump(setup.out);
  Expect(a.Prompt(setup.prompt), "prompt of a");
  a.Dump(dump, "a");
  Expect(b.Prompt(setup.prompt + 3), "prompt of b");
  b.Dump(dump, "b");
  for (int step = 0; step < setup.decode; ++step) {
    Expect(a.Step(), "a");
    a.Dump(dump, "a step " + std::to_string(step));
    // Several steps of the one between two of the other, as with a draft model.
    for (int i = 0; i <= step % 3; ++i) {
      Expect(b.Step(), "b");
      b.Dump(dump, "b step " + std::to_string(step));
    }
  }
}

void Parallel(const Setup& setup) {
  const Model first = LoadModel(setup.model, setup.repack);
  const Model second = setup.second.empty() ? nullptr : LoadModel(setup.second, setup.repack);
  const auto work = [&](llama_model* model, uint32_t seed) {
    const std::string name = "thread " + std::to_string(seed);
    Session session(model, setup.session, seed);
    DumpWriter dump(setup.out + "." + std::to_string(seed));
    for (int round = 0; round < 3; ++round) Compute(session, setup, dump, name + " round " + std::to_string(round));
  };
  std::thread a(work, first.get(), 1);
  std::thread b(work, second ? second.get() : first.get(), 2);
  a.join();
  b.join();
  std::ofstream all(setup.out, std::ios::binary);
  for (const char* part : {".1", ".2"}) {
    all << ReadWholeFile(setup.out + part);
    unlink((setup.out + part).c_str());
  }
}

void Reload(const Setup& setup) {
  DumpWriter dump(setup.out);
  for (int round = 0; round < 2; ++round) {
    for (const std::string& path : {setup.model, setup.second.empty() ? setup.model : setup.second}) {
      {
        const Model model = LoadModel(path, setup.repack);
        if (const auto stats = Statistics(); stats && stats->streaming != 1)
          Die("a model was loaded, and %d stream", stats->streaming);
        Session session(model.get(), setup.session);
        Compute(session, setup, dump, "round " + std::to_string(round));
      }
      if (const auto stats = Statistics(); stats && stats->streaming != 0)
        Die("the model was freed, and %d stream", stats->streaming);
    }
  }
}

void Rewrite(const Setup& setup, const std::string& change) {
  const std::filesystem::path file = setup.model, fresh = setup.model + ".new";
  DumpWriter dump(setup.out);
  for (int round = 0; round < 2; ++round) {
    if (round == 1) {
      const std::string bytes = ReadWholeFile(setup.second);
      if (change == "anew") std::filesystem::remove(file);
      std::ofstream(change == "moved" ? fresh : file, std::ios::binary) << bytes;
      if (change == "moved") std::filesystem::rename(fresh, file);
    }
    const Model model = LoadModel(setup.model, setup.repack);
    if (const auto stats = Statistics()) std::printf("streams %d\n", stats->streaming);
    Session session(model.get(), setup.session);
    Compute(session, setup, dump, "round " + std::to_string(round));
  }
}

void Pointer(const Setup& setup, const std::string& change) {
  FILE* const file = std::fopen(setup.model.c_str(), "rb");
  if (file == nullptr) Die("cannot open %s", setup.model.c_str());
  std::filesystem::remove(setup.model);
  if (change == "replace") std::ofstream(setup.model, std::ios::binary) << "another file";
  llama_model_params params = llama_model_default_params();
  params.use_extra_bufts = setup.repack;
  params.load_mode = LLAMA_LOAD_MODE_MMAP;
  const Model model(llama_model_load_from_file_ptr(file, params));
  if (!model) Die("cannot load the open file");
  Session session(model.get(), setup.session);
  DumpWriter dump(setup.out);
  Compute(session, setup, dump, "outputs");
  std::fclose(file);
}

// What a host does once, in the middle of a pass.
struct InPass {
  std::function<void()> act;
  int asked = 0;

  static bool OnNode(ggml_tensor*, bool ask, void* self) {
    auto* in_pass = static_cast<InPass*>(self);
    if (ask && ++in_pass->asked == 40) in_pass->act();
    return false;
  }
};

void Free(Setup setup, const std::string& how, const std::string& third) {
  const auto set = OF_HEADRACE(headrace_set_flash_ram_gb);
  const Model first = LoadModel(setup.model, setup.repack);
  Model second = LoadModel(setup.second, setup.repack), other;
  DumpWriter dump(setup.out);
  Compute(*std::make_unique<Session>(first.get(), setup.session, 1), setup, dump, "before");
  const auto before = Statistics();
  Compute(*std::make_unique<Session>(second.get(), setup.session, 2), setup, dump, "second");

  std::thread freer;
  InPass in_pass{[&] {
    if (how == "callback") return second.reset();
    if (how == "other") {
      second.reset();
      other = LoadModel(third, setup.repack);
      return;
    }
    freer = std::thread([&] { second.reset(); });
    if (how == "thread") return freer.join();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (how == "munmap") {
      void* const memory = mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (memory == MAP_FAILED || munmap(memory, 1 << 20) != 0) Die("cannot unmap");
    } else if (how != "set") {
      Die("unknown way to free %s", how.c_str());
    } else if (set != nullptr && set(6.0 / 1024) != 0) {
      Die("the budget cannot be changed");
    }
  }};
  SessionOptions with_callback = setup.session;
  with_callback.cb_eval = InPass::OnNode;
  with_callback.cb_eval_data = &in_pass;
  {
    Session session(first.get(), with_callback, 3);
    Compute(session, setup, dump, "during");
  }
  if (freer.joinable()) freer.join();
  // What was in memory of the freed model is given back, at the end of that pass at the latest.
  const auto after = Statistics();
  if (after && after->weight_bytes != before->weight_bytes) {
    Die("%llu bytes of weights are managed, %llu were before the second model",
        static_cast<unsigned long long>(after->weight_bytes), static_cast<unsigned long long>(before->weight_bytes));
  }
  if (other) Compute(*std::make_unique<Session>(other.get(), setup.session, 2), setup, dump, "other");
}

void Advice(const Setup& setup) {
  const Model model = LoadModel(setup.model, setup.repack);
  Session session(model.get(), setup.session);
  DumpWriter dump(setup.out);
  Compute(session, setup, dump, "outputs");
  std::puts(AdviceInModels().c_str());
}

void Errors(const Setup& setup) {
  const auto set = OF_HEADRACE(headrace_set_flash_ram_gb);
  const auto get = OF_HEADRACE(headrace_get_stats);
  const auto last = OF_HEADRACE(headrace_last_error);
  if (set == nullptr || get == nullptr || last == nullptr) Die("headrace is not there");
  const auto say = [&](const char* what) { std::printf("%s: %s\n", what, last()); };
  say("start");
  set(-1);
  say("set");
  {
    const Model model = LoadModel(setup.model, setup.repack);
    Session session(model.get(), setup.session);
    std::printf("code %d\n", session.Prompt(setup.prompt));
  }
  say("pass");
  std::thread([&] {
    headrace_stats old{};
    get(&old);
  }).join();
  say("stats");
  set(-1);
  say("set again");
}

// "round 3: 12 descriptors, 4 threads, 210 mappings, 51234 KiB"
void SayHoldings(int round) {
  const auto entries = [](const char* directory) {
    const auto all = std::filesystem::directory_iterator(directory);
    return std::distance(std::filesystem::begin(all), std::filesystem::end(all));
  };
  std::ifstream maps("/proc/self/maps");
  const auto mappings = std::count(std::istreambuf_iterator<char>(maps), {}, '\n');
  malloc_trim(0);  // what is freed and kept for later is nobody's
  long size = 0, resident = 0, shared = 0;
  std::ifstream("/proc/self/statm") >> size >> resident >> shared;
  std::printf("round %d: %td descriptors, %td threads, %td mappings, %ld KiB\n", round, entries("/proc/self/fd"),
              entries("/proc/self/task"), mappings, (resident - shared) * 4);
}

void Cycles(const Setup& setup, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    {
      const Model model = LoadModel(setup.model, setup.repack);
      Session session(model.get(), setup.session);
      Expect(session.Prompt(setup.prompt), "prompt");
      for (int step = 0; step < setup.decode; ++step) Expect(session.Step(), "step");
    }
    SayHoldings(round);
  }
}

void Resize(const Setup& setup, int rounds, int least_kib, int most_kib) {
  const auto set = reinterpret_cast<int (*)(double)>(dlsym(RTLD_DEFAULT, "headrace_set_flash_ram_gb"));
  std::atomic<bool> done{false};
  std::atomic<uint64_t> changes{0};
  std::thread changer([&] {
    std::mt19937 random(1);
    std::uniform_real_distribution<double> kib(least_kib, most_kib);
    while (set != nullptr && !done) {
      if (set(kib(random) / (1024 * 1024)) != 0) Die("the budget cannot be changed");
      ++changes;
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
  });
  {
    const Model model = LoadModel(setup.model, setup.repack);
    Session session(model.get(), setup.session);
    DumpWriter dump(setup.out);
    for (int round = 0; round < rounds; ++round) Compute(session, setup, dump, "round " + std::to_string(round));
  }
  done = true;
  changer.join();
  if (set != nullptr && changes < 10)
    Die("the budget changed %llu times only", static_cast<unsigned long long>(changes));
}

// Anonymous memory and code; model files are mapped and can be dropped.
long HeldKib() {
  std::ifstream mappings("/proc/self/smaps");
  long kib = 0;
  bool model = false;
  for (std::string line; std::getline(mappings, line);) {
    long value = 0;
    if (line.find("kB") == std::string::npos && line.find('-') != std::string::npos) {
      model = line.size() > 5 && line.compare(line.size() - 5, 5, ".gguf") == 0;
    } else if (!model && std::sscanf(line.c_str(), "Rss: %ld kB", &value) == 1) {
      kib += value;
    }
  }
  return kib;
}

void Together(const Setup& setup) {
  const Model target = LoadModel(setup.model, setup.repack);
  const Model draft = LoadModel(setup.second, setup.repack);
  DumpWriter dump(setup.out);
  long most = 0;
  const auto compute = [&](Session& session, const std::string& label) {
    Compute(session, setup, dump, label);
    most = std::max(most, HeldKib());
  };
  Session first(target.get(), setup.session, 1);
  compute(first, "first");
  Session guesses(draft.get(), setup.session, 2);
  compute(guesses, "draft");
  Session second(target.get(), setup.session, 3);
  compute(second, "second");
  SessionOptions pooled = setup.session;
  pooled.embeddings = pooled.mean_pooling = true;
  Session vectors(target.get(), pooled, 4);
  for (int round = 0; round < 2; ++round) {
    vectors.Clear();
    Expect(vectors.Prompt(setup.prompt), "embeddings");
    vectors.Dump(dump, "embeddings");
    for (Session* session : {&first, &guesses, &second}) compute(*session, "again");
  }
  std::printf("held %ld KiB\n", most);
}

// The host's eval callback: every question in order, and the bytes of the nodes it answered true for.
struct Recorder {
  std::string nodes;
  DumpWriter* dump = nullptr;
  uint64_t asked = 0, seen = 0;

  static void Write(DumpWriter& dump, const std::string& label, uint64_t hash) {
    float bits[2];
    std::memcpy(bits, &hash, sizeof bits);
    dump.Write(label, bits, 2);
  }

  bool Wants(const ggml_tensor* node) const {
    if (nodes == "all") return true;
    if (nodes == "products") return node->op == GGML_OP_MUL_MAT || node->op == GGML_OP_MUL_MAT_ID;
    return nodes == "some" && asked % 3 == 0;
  }

  bool OnNode(ggml_tensor* node, bool ask) {
    const std::string name = std::string(node->name) + " " + ggml_op_name(node->op);
    if (ask) {
      Write(*dump, "ask " + name, ++asked);
      return Wants(node);
    }
    ++seen;
    if (!ggml_is_contiguous(node)) return true;  // a view: its parent was hashed
    std::string bytes(ggml_nbytes(node), '\0');
    ggml_backend_tensor_get(node, bytes.data(), 0, bytes.size());
    uint64_t hash = 0xcbf29ce484222325ull;
    for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3ull;
    Write(*dump, "data " + name, hash);
    return true;
  }
};

void Callback(Setup setup, const std::string& nodes) {
  const Model model = LoadModel(setup.model, setup.repack);
  DumpWriter dump(setup.out);
  Recorder recorder{nodes, &dump};
  setup.session.cb_eval = [](ggml_tensor* node, bool ask, void* self) {
    return static_cast<Recorder*>(self)->OnNode(node, ask);
  };
  setup.session.cb_eval_data = &recorder;
  Session session(model.get(), setup.session);
  Compute(session, setup, dump, "outputs");
  std::printf("asked %llu seen %llu\n", static_cast<unsigned long long>(recorder.asked),
              static_cast<unsigned long long>(recorder.seen));
}

void Abort(Setup setup, int at) {
  struct Fuse {
    bool armed = false;
    int calls = 0;
    int most = 40;
  } fuse;
  if (at == 0) fuse.most = 0;  // while the engine's kernels are looked at, before the pass

  setup.session.abort = [](void* self) {
    auto* lit = static_cast<Fuse*>(self);
    return lit->armed && ++lit->calls > lit->most;
  };
  setup.session.abort_data = &fuse;
  const Model model = LoadModel(setup.model, setup.repack);
  Session session(model.get(), setup.session);
  DumpWriter dump(setup.out);
  if (at > 0) Compute(session, setup, dump, "before");
  fuse.armed = true;
  session.Clear();
  std::printf("code %d\n", session.Prompt(setup.prompt));
  fuse.armed = false;
  Compute(session, setup, dump, "after");
}

void RetryFailed(const Setup& setup) {
  const Model model = LoadModel(setup.model, setup.repack);
  Session session(model.get(), setup.session);
  DumpWriter dump(setup.out);
  for (int step = 0; step <= setup.decode; ++step) {
    int code = step == 0 ? session.Prompt(setup.prompt) : session.Step();
    if (code != 0) {
      std::printf("step %d code %d\n", step, code);
      code = session.Retry();
    }
    Expect(code, "step " + std::to_string(step));
    session.Dump(dump, "step " + std::to_string(step));
  }
}

// Damages a model file that is in use. Every way keeps the name's folder as it was but for this file.
void ChangeFile(const std::string& path, const std::string& change) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) Die("cannot stat %s", path.c_str());
  bool ok = true;
  if (change == "truncate") {
    ok = truncate(path.c_str(), info.st_size / 2) == 0;
  } else if (change == "overwrite") {
    const std::string noise(static_cast<size_t>(info.st_size / 4), '\x3c');
    const int fd = open(path.c_str(), O_WRONLY);
    ok = pwrite(fd, noise.data(), noise.size(), info.st_size / 2) == static_cast<ssize_t>(noise.size()) &&
         fsync(fd) == 0;
    close(fd);
  } else if (change == "delete" || change == "replace") {
    ok = unlink(path.c_str()) == 0;
    if (change == "replace")
      std::ofstream(path, std::ios::binary) << std::string(static_cast<size_t>(info.st_size), 'x');
  } else if (change != "none") {
    Die("unknown change %s", change.c_str());
  }
  if (!ok) Die("cannot %s %s", change.c_str(), path.c_str());
}

void Rounds(const Setup& setup, int rounds, int at, const std::string& change) {
  const Model model = LoadModel(setup.model, setup.repack);
  Session session(model.get(), setup.session);
  DumpWriter dump(setup.out);
  for (int round = 0; round < rounds; ++round) {
    if (round == at) ChangeFile(setup.model, change);
    session.Clear();
    int code = session.Prompt(setup.prompt);
    if (code == 0) session.Dump(dump, "prompt");
    for (int step = 0; code == 0 && step < setup.decode; ++step) {
      code = session.Step();
      if (code == 0) session.Dump(dump, "step " + std::to_string(step));
    }
    std::printf("round %d code %d\n", round, code);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) Die("host_scenarios SCENARIO --model A.gguf --out FILE ...");
  const std::string scenario = argv[1];
  const Options options(argc, argv, 2,
                        {"--model", "--second", "--out", "--repack", "--threads", "--prompt", "--decode", "--nodes",
                         "--sequences", "--rounds", "--at", "--change", "--least", "--most", "--how", "--third"});
  Setup setup{options.Text("--model", ""),
              options.Text("--second", ""),
              options.Text("--out", "/dev/null"),
              options.Int("--repack", 0) != 0,
              options.Int("--prompt", 20),
              options.Int("--decode", 6),
              {}};
  setup.session.threads = options.Int("--threads", 2);
  setup.session.context_tokens = 512;
  setup.session.sequences = options.Int("--sequences", 1);
  StartEngine();
  if (scenario == "alternate") {
    Alternate(setup);
  } else if (scenario == "parallel") {
    Parallel(setup);
  } else if (scenario == "reload") {
    Reload(setup);
  } else if (scenario == "rewrite") {
    Rewrite(setup, options.Text("--change", ""));
  } else if (scenario == "pointer") {
    Pointer(setup, options.Text("--change", ""));
  } else if (scenario == "free") {
    Free(setup, options.Text("--how", ""), options.Text("--third", ""));
  } else if (scenario == "advice") {
    Advice(setup);
  } else if (scenario == "errors") {
    Errors(setup);
  } else if (scenario == "cycles") {
    Cycles(setup, options.Int("--rounds", 100));
  } else if (scenario == "resize") {
    Resize(setup, options.Int("--rounds", 6), options.Int("--least", 1024), options.Int("--most", 16384));
  } else if (scenario == "together") {
    Together(setup);
  } else if (scenario == "callback") {
    Callback(setup, options.Text("--nodes", "all"));
  } else if (scenario == "abort") {
    Abort(setup, options.Int("--at", 1));
  } else if (scenario == "retry") {
    RetryFailed(setup);
  } else if (scenario == "rounds") {
    Rounds(setup, options.Int("--rounds", 4), options.Int("--at", 1), options.Text("--change", "none"));
  } else {
    Die("unknown scenario %s", scenario.c_str());
  }
  return 0;
}
