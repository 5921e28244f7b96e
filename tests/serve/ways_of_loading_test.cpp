// The switch reaches every way in which a model is loaded: for each, the library's counters show that weights came
// from disk while the answer was made.
#include <filesystem>
#include <fstream>
#include <thread>

#include "gguf/gguf_builder.h"
#include "serve_test.h"

namespace headrace::serve {
namespace {

class WaysOfLoading : public ServeTest {
 protected:
  // Asks, and expects that weights were read meanwhile, within the budget.
  template <typename Function>
  void ExpectStreamed(const std::string& id, const Function& ask) {
    const uint64_t before = BytesRead(id);
    ask();
    const Json flash = Flash(id);
    ASSERT_TRUE(flash.is_object()) << id;
    EXPECT_GT(flash["bytes_read"].get<uint64_t>(), before) << flash.dump();
    EXPECT_LE(flash["resident_bytes"].get<uint64_t>() + flash["expert_resident_bytes"].get<uint64_t>() +
                  flash["ring_bytes"].get<uint64_t>() + flash["scratch_bytes"].get<uint64_t>(),
              flash["budget_bytes"].get<uint64_t>());
    EXPECT_TRUE(flash["last_error"].is_null()) << flash.dump();
  }
  void ExpectLoadedStreaming(Json body) {
    body["flash_mode"] = true;
    if (!body.contains("flash_ram_gb")) body["flash_ram_gb"] = 0.004;
    const Answer answer = Load(body);
    ASSERT_EQ(answer.status, 200) << answer.text;
    EXPECT_TRUE(answer.body["decision"]["streams"].get<bool>()) << answer.text;
    EXPECT_GT(answer.body["decision"]["streamed_bytes_per_pass"].get<uint64_t>() +
                  answer.body["decision"]["expert_cache_bytes"].get<uint64_t>(),
              0u);
    EXPECT_EQ(answer.body["configuration"]["flash_mode"], "on");
  }
};

TEST_F(WaysOfLoading, Text) {
  ASSERT_TRUE(StartServer());
  ExpectLoadedStreaming({{"model", kDense}});
  ExpectStreamed(kDense, [&] { EXPECT_EQ(Complete(kDense).status, 200); });
  ExpectLoadedStreaming({{"model", kMoe}});
  ExpectStreamed(kMoe, [&] { EXPECT_EQ(Complete(kMoe).status, 200); });
}

TEST_F(WaysOfLoading, FirstRequestToAModelNotYetLoaded) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--weights-ram", "4M"}));
  EXPECT_EQ(Model(kDense)["state"], "unloaded");
  ExpectStreamed(kDense, [&] { EXPECT_EQ(Complete(kDense).status, 200); });
  EXPECT_EQ(Model(kDense)["state"], "loaded");
}

TEST_F(WaysOfLoading, TheModelOfTheCommandLine) {
  ASSERT_TRUE(StartServer({CommandTest::Model(), "--flash-mode", "on", "--weights-ram", "4M"}));
  ExpectStreamed(kDense, [&] {
    EXPECT_EQ(Post("/v1/completions", {{"prompt", "It is"}, {"max_tokens", 4}}).status, 200);
  });
}

TEST_F(WaysOfLoading, SeveralSlots) {
  ASSERT_TRUE(StartServer());
  ExpectLoadedStreaming({{"model", kDense}, {"slots", 2}, {"context_length", 1024}});
  EXPECT_EQ(Get("/slots").body.size(), 2u);
  ExpectStreamed(kDense, [&] {
    std::vector<std::thread> clients;
    for (int i = 0; i < 4; ++i) clients.emplace_back([&] { EXPECT_EQ(Complete(kDense, 16).status, 200); });
    for (std::thread& client : clients) client.join();
  });
}

TEST_F(WaysOfLoading, Draft) {
  ASSERT_TRUE(StartServer());
  ExpectLoadedStreaming({{"model", kDense},
                         {"draft_model", kDraft},
                         {"kv_cache_type", "q8_0"},
                         {"flash_ram_gb", 0.0098},
                         {"draft_tokens", 3}});
  ExpectStreamed(kDense, [&] {
    const Answer answer = Post("/completion", {{"prompt", "It is a truth"}, {"n_predict", 16}, {"temperature", 0}});
    EXPECT_GT(answer.body["timings"].value("draft_n", 0), 0) << answer.text;
  });
  // Weights of both are managed.
  EXPECT_GT(Flash(kDense)["weight_bytes"].get<uint64_t>(), 15'000'000u) << Flash(kDense).dump();
}

TEST_F(WaysOfLoading, Embedding) {
  ASSERT_TRUE(StartServer());
  ExpectLoadedStreaming({{"model", kDense}, {"embedding", true}});
  ExpectStreamed(kDense, [&] {
    const Answer answer = Post("/v1/embeddings", {{"model", kDense}, {"input", {"It is a truth", "universally"}}});
    EXPECT_EQ(answer.body["data"].size(), 2u) << answer.text;
    EXPECT_EQ(answer.body["data"][0]["embedding"].size(), 512u);
  });
  EXPECT_EQ(Complete(kDense).status, 200) << "text all the same";
}

// llama-server takes no input that is longer than one pass.
TEST_F(WaysOfLoading, EmbeddingsAsLongAsTheContext) {
  ASSERT_TRUE(StartServer());
  std::string input;
  for (int i = 0; i < 300; ++i) input += "It is a truth ";
  std::vector<std::vector<double>> vectors;
  const auto embed = [&] { return Post("/v1/embeddings", {{"model", kDense}, {"input", input}}); };
  for (const char* mode : {"on", "off"}) {
    const Answer loaded = Load({{"model", kDense},
                                {"embedding", true},
                                {"context_length", 2048},
                                {"flash_mode", mode},
                                {"flash_ram_gb", mode == std::string("on") ? Json(0.004) : Json()}});
    ASSERT_EQ(loaded.status, 200) << loaded.text;
    const Answer answer = embed();
    ASSERT_EQ(answer.status, 200) << answer.text;
    EXPECT_GT(answer.body["usage"]["prompt_tokens"], 1000) << answer.text;
    EXPECT_EQ(answer.body["data"][0]["embedding"].size(), 512u);
    vectors.push_back(answer.body["data"][0]["embedding"].get<std::vector<double>>());
  }
  for (size_t i = 0; i < vectors[0].size(); ++i)
    EXPECT_NEAR(vectors[0][i], vectors[1][i], 1e-3) << "llama-server's own";
  // Such wide passes are in the plan.
  const auto compute = [&](const char* context) {
    return Get(std::string("/api/v1/models/estimate?model=") + kDense + "&embedding=true&context_length=" + context)
        .body["memory"]
        .value("compute_bytes", uint64_t{0});
  };
  EXPECT_GT(compute("2048"), 2 * compute("512"));
  ASSERT_EQ(Load({{"model", kDense}, {"embedding", true}, {"context_length", 512}}).status, 200);
  const Answer long_one = embed();
  EXPECT_EQ(long_one.status, 400) << long_one.text;
  EXPECT_TRUE(Has(long_one.Error(), "at most 512 tokens")) << long_one.text;
  // Ollama cuts them unless it is told not to.
  const Answer cut = Post("/api/embed", {{"model", kDense}, {"input", {"It", input}}});
  EXPECT_EQ(cut.body["embeddings"].size(), 2u) << cut.text;
  EXPECT_GT(cut.body["prompt_eval_count"], 512) << cut.text;
  EXPECT_EQ(Post("/api/embeddings", {{"model", kDense}, {"prompt", input}}).body["embedding"].size(), 512u);
  const Answer whole = Post("/api/embed", {{"model", kDense}, {"input", input}, {"truncate", false}});
  EXPECT_EQ(whole.status, 400) << whole.text;
  EXPECT_TRUE(Has(whole.body["error"].get<std::string>(), "at most 512")) << whole.text;
}

// A pass for the longest input would not fit into the memory: it takes shorter ones, and says which.
TEST_F(WaysOfLoading, EmbeddingsInLittleMemory) {
  ASSERT_TRUE(StartServer());
  ASSERT_EQ(Load({{"model", kDense}, {"embedding", true}, {"context_length", 2048}, {"ram_gb", 0.08}}).status, 200);
  std::string input;
  for (int i = 0; i < 60; ++i) input += "It is a truth ";
  const auto embed = [&] { return Post("/v1/embeddings", {{"model", kDense}, {"input", input}}); };
  EXPECT_EQ(embed().status, 200);
  for (int i = 0; i < 240; ++i) input += "It is a truth ";
  const Answer long_one = embed();
  EXPECT_EQ(long_one.status, 400) << long_one.text;
  EXPECT_TRUE(Has(long_one.Error(), "more memory")) << long_one.text;
  ASSERT_EQ(Load({{"model", kDense}, {"ram_gb", 0.5}}).status, 200);
  EXPECT_EQ(embed().status, 200);
}

TEST_F(WaysOfLoading, ManyEmbeddingsInAPass) {
  ASSERT_TRUE(StartServer());
  ExpectLoadedStreaming({{"model", kDense}, {"embedding", true}});
  Json inputs = Json::array();
  for (int i = 0; i < 32; ++i) inputs.push_back("It is a truth number " + std::to_string(i));
  const uint64_t before = Flash(kDense)["passes"];
  EXPECT_EQ(Post("/v1/embeddings", {{"model", kDense}, {"input", inputs}}).body["data"].size(), 32u);
  EXPECT_LE(Flash(kDense)["passes"].get<uint64_t>() - before, 5u) << "sixteen in each, at first fewer";
}

TEST_F(WaysOfLoading, Projector) {
  // The smallest projector of LLaVA's kind that fits the bundled model: 512 wide, all zeros.
  constexpr uint64_t kWidth = 64, kFeedForward = 128, kText = 512;
  GgufBuilder builder;
  builder.Text("general.architecture", "clip").Text("general.type", "mmproj").U32("general.file_type", 0);
  builder.Bool("clip.has_vision_encoder", true).Text("clip.projector_type", "mlp").Bool("clip.use_gelu", true);
  builder.U32("clip.vision.image_size", 28)
      .U32("clip.vision.patch_size", 14)
      .U32("clip.vision.embedding_length", kWidth);
  builder.U32("clip.vision.feed_forward_length", kFeedForward)
      .U32("clip.vision.projection_dim", kText)
      .U32("clip.vision.block_count", 2);
  builder.U32("clip.vision.attention.head_count", 2).F32("clip.vision.attention.layer_norm_epsilon", 1e-5f);
  const float half[] = {0.5f, 0.5f, 0.5f};
  const std::string halves(reinterpret_cast<const char*>(half), sizeof half);
  builder.Array("clip.vision.image_mean", kGgufF32, 3, halves).Array("clip.vision.image_std", kGgufF32, 3, halves);
  const auto f32 = [&](const std::string& name, std::vector<uint64_t> shape) { builder.Tensor(name, kGgmlF32, shape); };
  f32("v.class_embd", {kWidth});
  f32("v.patch_embd.weight", {14, 14, 3, kWidth});
  f32("v.position_embd.weight", {kWidth, 5});
  for (const char* name : {"v.pre_ln", "v.post_ln"}) {
    f32(std::string(name) + ".weight", {kWidth});
    f32(std::string(name) + ".bias", {kWidth});
  }
  for (int block = 0; block < 2; ++block) {
    const std::string prefix = "v.blk." + std::to_string(block) + ".";
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_out"}) {
      f32(prefix + name + ".weight", {kWidth, kWidth});
      f32(prefix + name + ".bias", {kWidth});
    }
    for (const char* name : {"ln1", "ln2"}) {
      f32(prefix + name + ".weight", {kWidth});
      f32(prefix + name + ".bias", {kWidth});
    }
    f32(prefix + "ffn_up.weight", {kWidth, kFeedForward});
    f32(prefix + "ffn_up.bias", {kFeedForward});
    f32(prefix + "ffn_down.weight", {kFeedForward, kWidth});
    f32(prefix + "ffn_down.bias", {kWidth});
  }
  f32("mm.0.weight", {kWidth, kText});
  f32("mm.0.bias", {kText});
  f32("mm.2.weight", {kText, kText});
  f32("mm.2.bias", {kText});
  tree_.File("models/seeing/placeholder");
  ASSERT_TRUE(builder.Write(tree_.Path("models/seeing/mmproj.gguf")));
  std::filesystem::create_symlink(CommandTest::Model(), tree_.Path("models/seeing/model.gguf"));

  ASSERT_TRUE(StartServer({"--models-dir", tree_.Path("models")}));
  EXPECT_EQ(Model("seeing/mmproj")["kind"], "projector");
  EXPECT_EQ(Load({{"model", "seeing/mmproj"}}).status, 400) << "not a model by itself";
  const std::string id = "seeing/model";
  ExpectLoadedStreaming({{"model", id}});
  EXPECT_TRUE(Has(Model(id)["loaded"]["configuration"]["projector"], "mmproj")) << "found beside the model";
  ExpectStreamed(id, [&] {
    const std::string image =
        "data:image/"
        "png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    // Text last: llama-server 0.7.0 aborts on a prompt that ends with an image.
    const Json content = {{{"type", "image_url"}, {"image_url", {{"url", image}}}},
                          {{"type", "text"}, {"text", "It is"}}};
    const Answer answer =
        Post("/v1/chat/completions",
             {{"model", id}, {"max_tokens", 4}, {"messages", {{{"role", "user"}, {"content", content}}}}});
    EXPECT_EQ(answer.status, 200) << answer.text;
  });
}

TEST_F(WaysOfLoading, AnotherLoadModeStreamsAllTheSame) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--", "--load-mode", "none"}));
  ExpectLoadedStreaming({{"model", kDense}});
}

// llama.cpp's programs, of which llama-server runs without the library.
std::string EngineOutOfReach(const TemporaryTree& tree) {
  const std::filesystem::path real = std::string(HEADRACE_ENGINE_PREFIX) + "/usr/bin",
                              bin = tree.Path("engine/usr/bin");
  std::filesystem::create_directories(bin);
  for (const auto& program : std::filesystem::directory_iterator(real)) {
    if (program.path().filename() != "llama-server")
      std::filesystem::create_symlink(program.path(), bin / program.path().filename());
  }
  std::ofstream(bin / "llama-server") << "#!/bin/sh\nunset LD_PRELOAD\nexec '" << (real / "llama-server").string()
                                      << "' \"$@\"\n";
  std::filesystem::permissions(bin / "llama-server", std::filesystem::perms::owner_all);
  return tree.Path("engine");
}

TEST_F(WaysOfLoading, WhatCannotStreamFailsAndSaysWhy) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--engine", EngineOutOfReach(tree_)}));
  Answer answer = Load({{"model", kDense}, {"flash_mode", true}, {"flash_ram_gb", 0.004}});
  EXPECT_EQ(answer.status, 500);
  EXPECT_TRUE(Has(answer.Error(), "flash weight streaming was asked for")) << answer.text;
  EXPECT_EQ(Model(kDense)["state"], "unloaded");
  EXPECT_TRUE(Has(Model(kDense)["error"], "flash weight streaming was asked for"));
  EXPECT_TRUE(Children().empty());
  // Also when auto decided for it.
  EXPECT_EQ(Load({{"model", kDense}, {"flash_mode", "auto"}, {"flash_ram_gb", 0.004}}).status, 500);
  answer = Load({{"model", kDense}, {"flash_mode", "on"}, {"flash_ram_gb", 0.00001}});
  EXPECT_EQ(answer.status, 400);
  EXPECT_TRUE(Has(answer.Error(), "too little")) << answer.text;
  EXPECT_TRUE(Model(kDense)["remembered"].empty()) << "what failed is not remembered";
  EXPECT_EQ(Load({{"model", kDense}, {"flash_mode", "off"}}).status, 200);
}

}  // namespace
}  // namespace headrace::serve
