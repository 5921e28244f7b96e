#include "llama_host.h"

#include <algorithm>
#include <cstdarg>
#include <sstream>

#include "ggml-backend.h"

namespace headrace::testing {

void Die(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
  std::exit(1);
}

Options::Options(int argc, char** argv, int first, std::vector<std::string> known) {
  for (int i = first; i < argc; i += 2) {
    const std::string name = argv[i];
    if (std::find(known.begin(), known.end(), name) == known.end()) Die("unknown option %s", argv[i]);
    if (i + 1 >= argc) Die("%s needs a value", argv[i]);
    values_.emplace_back(name, argv[i + 1]);
  }
}

std::string Options::Text(const std::string& name, const std::string& otherwise) const {
  for (const auto& [key, value] : values_) {
    if (key == name) return value;
  }
  return otherwise;
}

int Options::Int(const std::string& name, int otherwise) const {
  return std::atoi(Text(name, std::to_string(otherwise)).c_str());
}

std::vector<int> Options::Ints(const std::string& name, const std::string& otherwise) const {
  std::istringstream text(Text(name, otherwise));
  std::vector<int> values;
  for (std::string part; std::getline(text, part, ',');) values.push_back(std::atoi(part.c_str()));
  return values;
}

std::string AdviceInModels() {
  std::ifstream mappings("/proc/self/smaps");
  bool of_model = false, ahead = false, random = false;
  for (std::string line; std::getline(mappings, line);) {
    if (line.find('-') != std::string::npos && line.find("kB") == std::string::npos) of_model = line.ends_with(".gguf");
    if (of_model && line.starts_with("VmFlags:")) (line.find(" rr") != std::string::npos ? random : ahead) = true;
  }
  if (!ahead && !random) Die("no model is mapped");
  return !random ? "reads ahead" : ahead ? "reads ahead in part" : "does not read ahead";
}

void StartEngine() {
  llama_log_set(
      [](ggml_log_level level, const char* text, void*) {
        if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
      },
      nullptr);
  // A prefix keeps its CPU variants in a folder that the engine does not know; an installed one finds its own.
  if (HEADRACE_ENGINE_BACKENDS[0] != '\0') {
    ggml_backend_load_all_from_path(HEADRACE_ENGINE_BACKENDS);
  } else {
    ggml_backend_load_all();
  }
  llama_backend_init();
}

void AddRpcServer(const std::string& endpoint) {
  ggml_backend_reg_t rpc = ggml_backend_reg_by_name("RPC");
  if (rpc == nullptr) Die("the engine has no RPC backend");
  const auto add = reinterpret_cast<ggml_backend_reg_t (*)(const char*)>(
      ggml_backend_reg_get_proc_address(rpc, "ggml_backend_rpc_add_server"));
  ggml_backend_reg_t server = add != nullptr ? add(endpoint.c_str()) : nullptr;
  if (server == nullptr) Die("no RPC server at %s", endpoint.c_str());
  ggml_backend_register(server);
}

Model LoadModel(const std::string& path, bool repack, int gpu_layers, const std::string& on_processor) {
  const llama_model_tensor_buft_override overrides[] = {{on_processor.c_str(), ggml_backend_cpu_buffer_type()},
                                                        {nullptr, nullptr}};
  llama_model_params params = llama_model_default_params();
  params.use_extra_bufts = repack;
  params.n_gpu_layers = gpu_layers;
  if (!on_processor.empty()) params.tensor_buft_overrides = overrides;
  params.load_mode = LLAMA_LOAD_MODE_MMAP;
  Model model(llama_model_load_from_file(path.c_str(), params));
  if (!model) Die("cannot load %s", path.c_str());
  return model;
}

Session::Session(llama_model* model, const SessionOptions& options, uint32_t seed)
    : model_(model), vocab_(llama_model_get_vocab(model)), options_(options), seed_(seed) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<uint32_t>(options.context_tokens);
  params.n_batch = params.n_ctx;
  params.n_ubatch = static_cast<uint32_t>(options.ubatch);
  params.n_seq_max = static_cast<uint32_t>(options.sequences);
  params.kv_unified = options.unified;
  params.type_k = params.type_v = options.cache_type;
  if (!options.flash_attention) params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  params.n_threads = params.n_threads_batch = options.threads;
  params.embeddings = options.embeddings || !llama_model_has_decoder(model);
  if (options.embeddings) {
    params.pooling_type = options.mean_pooling ? LLAMA_POOLING_TYPE_MEAN : LLAMA_POOLING_TYPE_NONE;
  }
  params.cb_eval = options.cb_eval;
  params.cb_eval_user_data = options.cb_eval_data;
  params.abort_callback = options.abort;
  params.abort_callback_data = options.abort_data;
  params.op_offload = options.op_offload;
  params.moe_cache_size = options.moe_cache_bytes;
  params.no_perf = true;
  context_.reset(llama_init_from_model(model, params));
  if (!context_) Die("cannot create a context");
  Clear();
}

void Session::Clear() {
  if (llama_memory_t memory = llama_get_memory(context_.get())) llama_memory_clear(memory, true);
  random_ = seed_ * 0x9e3779b97f4a7c15ull + 1;
  past_ = outputs_ = 0;
}

void Session::Shift(int keep, int count) {
  llama_memory_t memory = llama_get_memory(context_.get());
  for (int s = 0; s < options_.sequences; ++s) {
    if (!llama_memory_seq_rm(memory, s, keep, keep + count)) Die("cannot remove positions");
    llama_memory_seq_add(memory, s, keep + count, -1, -count);
  }
  past_ -= count;
}

void Session::CopyFirst() {
  llama_memory_t memory = llama_get_memory(context_.get());
  for (int s = 1; s < options_.sequences; ++s) {
    llama_memory_seq_rm(memory, s, -1, -1);
    llama_memory_seq_cp(memory, 0, s, -1, -1);
  }
}

std::vector<uint8_t> Session::Save() {
  std::vector<uint8_t> state(llama_state_get_size(context_.get()));
  if (llama_state_get_data(context_.get(), state.data(), state.size()) != state.size()) Die("cannot save the state");
  saved_past_ = past_;
  return state;
}

void Session::Restore(const std::vector<uint8_t>& state) {
  if (llama_state_set_data(context_.get(), state.data(), state.size()) != state.size()) Die("cannot restore the state");
  past_ = saved_past_;
}

void Session::SaveFile(const std::string& path) {
  // Only the number of the tokens matters here: they are the positions.
  const std::vector<llama_token> tokens(static_cast<size_t>(past_));
  if (llama_state_seq_save_file(context_.get(), path.c_str(), 0, tokens.data(), tokens.size()) == 0)
    Die("cannot save %s", path.c_str());
}

void Session::LoadFile(const std::string& path) {
  std::vector<llama_token> tokens(static_cast<size_t>(options_.context_tokens));
  size_t count = 0;
  if (llama_state_seq_load_file(context_.get(), path.c_str(), 0, tokens.data(), tokens.size(), &count) == 0) {
    Die("cannot load %s", path.c_str());
  }
  past_ = static_cast<int>(count);
}

llama_token Session::NextToken() {
  random_ = random_ * 6364136223846793005ull + 1442695040888963407ull;
  return static_cast<llama_token>((random_ >> 33) % static_cast<uint64_t>(llama_vocab_n_tokens(vocab_)));
}

llama_token Session::Greedy(int output) const {
  const float* logits = llama_get_logits_ith(context_.get(), output);
  if (logits == nullptr) Die("no logits at position %d", output);
  return static_cast<llama_token>(std::max_element(logits, logits + llama_vocab_n_tokens(vocab_)) - logits);
}

// tokens: the same number for each of the sequences, position by position.
int Session::Evaluate(const std::vector<llama_token>& tokens, bool encode, int sequences) {
  if (&tokens != &last_) last_ = tokens;
  const int count = static_cast<int>(tokens.size());
  llama_batch batch = llama_batch_init(count, 0, 1);
  batch.n_tokens = count;
  for (int i = 0; i < count; ++i) {
    batch.token[i] = tokens[static_cast<size_t>(i)];
    batch.pos[i] = (encode ? 0 : past_) + i / sequences;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = i % sequences;
    batch.logits[i] = 1;
  }
  const int code = encode ? llama_encode(context_.get(), batch) : llama_decode(context_.get(), batch);
  llama_batch_free(batch);
  if (code == 0) {
    outputs_ = count;
    sequences_ = sequences;
    if (!encode) past_ += count / sequences;
  }
  return code;
}

int Session::Prompt(int count) {
  std::vector<llama_token> tokens;
  for (int i = 0; i < count * options_.sequences; ++i) tokens.push_back(NextToken());
  if (!llama_model_has_encoder(model_)) return Evaluate(tokens, false, options_.sequences);
  if (const int code = Evaluate(tokens, true, options_.sequences); code != 0) return code;
  if (!llama_model_has_decoder(model_)) return 0;
  const llama_token start = std::max(0, llama_model_decoder_start_token(model_));
  return Evaluate(std::vector<llama_token>(static_cast<size_t>(options_.sequences), start), false, options_.sequences);
}

int Session::Step() {
  std::vector<llama_token> tokens;
  for (int s = 0; s < sequences_; ++s) tokens.push_back(Greedy(outputs_ - sequences_ + s));
  return Evaluate(tokens, false, sequences_);
}

int Session::Retry() {
  past_ = llama_memory_seq_pos_max(llama_get_memory(context_.get()), 0) + 1;
  return Evaluate(last_, false, options_.sequences);
}

std::vector<Session::Output> Session::Outputs() {
  llama_synchronize(context_.get());
  std::vector<Output> outputs;
  const auto count = static_cast<uint64_t>(outputs_);
  const auto width = static_cast<uint64_t>(llama_model_n_embd_out(model_));
  if (llama_model_has_decoder(model_) && !options_.mean_pooling) {
    if (const float* logits = llama_get_logits(context_.get())) {
      outputs.push_back({"logits", logits, count * static_cast<uint64_t>(llama_vocab_n_tokens(vocab_))});
    }
  }
  if (options_.mean_pooling) {
    for (int s = 0; s < sequences_; ++s)
      outputs.push_back({"pooled", llama_get_embeddings_seq(context_.get(), s), width});
  } else if (outputs.empty() || options_.embeddings) {
    outputs.push_back({"embeddings", llama_get_embeddings(context_.get()), count * width});
  }
  for (const Output& output : outputs) {
    if (output.values == nullptr) Die("the engine gives no %s", output.what);
  }
  return outputs;
}

void Session::Dump(DumpWriter& dump, const std::string& label) {
  for (const Output& output : Outputs()) dump.Write(label + " " + output.what, output.values, output.count);
}

uint64_t Session::Hash() {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const Output& output : Outputs()) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(output.values);
    for (uint64_t i = 0; i < output.count * sizeof(float); ++i) hash = (hash ^ bytes[i]) * 0x100000001b3ull;
  }
  return hash;
}

}  // namespace headrace::testing
