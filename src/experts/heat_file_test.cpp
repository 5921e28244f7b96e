#include "experts/heat_file.h"

#include <gtest/gtest.h>

#include <random>

#include "base/hash.h"

namespace headrace {
namespace {

HeatTable Sample() {
  HeatTable table;
  table.fingerprint = 0x123456789abcdef0;
  table.layers = {{4096, {0, 25, 100, 0.5}}, {1'000'032, {3, 50}}};
  return table;
}

// With a hash that is right.
std::string Sealed(std::string text) {
  const uint64_t hash = HashBytes(text);
  return text.append(reinterpret_cast<const char*>(&hash), sizeof hash);
}

TEST(HeatFile, KeepsThePartsOfTheMostPopular) {
  const auto table = ParseHeat(SerialiseHeat(Sample()));
  ASSERT_TRUE(table.ok()) << table.status().message();
  EXPECT_EQ(table->fingerprint, Sample().fingerprint);
  ASSERT_EQ(table->layers.size(), 2u);
  for (const HeatTable::Layer& layer : Sample().layers) {
    const HeatTable::Layer* found = table->Find(layer.offset, layer.popularity.size());
    ASSERT_NE(found, nullptr);
    for (size_t i = 0; i < layer.popularity.size(); ++i)
      EXPECT_NEAR(found->popularity[i], layer.popularity[i] / 100, 1e-5);
  }
  EXPECT_EQ(table->Find(4096, 3), nullptr);
  EXPECT_EQ(table->Find(4097, 4), nullptr);
  EXPECT_EQ(SerialiseHeat(*table), SerialiseHeat(Sample()));
}

TEST(HeatFile, NothingKnownIsATableToo) {
  EXPECT_TRUE(ParseHeat(SerialiseHeat({})).ok());
  HeatTable unused;
  unused.layers = {{0, {0, 0}}};
  const auto table = ParseHeat(SerialiseHeat(unused));
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(table->layers[0].popularity, unused.layers[0].popularity);
}

TEST(HeatFile, EveryDamageIsNoticed) {
  const std::string good = SerialiseHeat(Sample());
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_FALSE(ParseHeat(good.substr(0, length)).ok()) << length;
  EXPECT_FALSE(ParseHeat(good + '\0').ok());
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    EXPECT_FALSE(ParseHeat(bad).ok()) << "byte " << i;
  }
}

// Whoever writes the file on purpose can make the hash right.
TEST(HeatFile, LiesBehindARightHashAreRefused) {
  const std::string good = SerialiseHeat(Sample());
  const std::string body = good.substr(0, good.size() - 8);
  EXPECT_TRUE(ParseHeat(Sealed(body)).ok());
  const auto with = [&](size_t at, uint32_t value) {
    std::string text = body;
    text.replace(at, sizeof value, reinterpret_cast<const char*>(&value), sizeof value);
    return Sealed(text);
  };
  for (const uint32_t layers : {0u, 1u, 3u, 4097u, UINT32_MAX})
    EXPECT_FALSE(ParseHeat(with(16, layers)).ok()) << layers << " layers";
  for (const uint32_t experts : {0u, 3u, 5u, 0x40000000u, UINT32_MAX})
    EXPECT_FALSE(ParseHeat(with(28, experts)).ok()) << experts << " experts";
  std::string twice = body;
  twice.replace(16, 4, std::string("\4\0\0\0", 4)).append(body.substr(20));
  EXPECT_FALSE(ParseHeat(Sealed(twice)).ok()) << "a layer twice";
  std::mt19937 random(3);
  for (int i = 0; i < 20'000; ++i) {
    std::string text = body;
    for (int change = 0; change < 3; ++change) text[8 + random() % (text.size() - 8)] = static_cast<char>(random());
    const auto table = ParseHeat(Sealed(text));
    if (!table.ok()) continue;
    for (const HeatTable::Layer& layer : table->layers) {
      for (const double popularity : layer.popularity) ASSERT_TRUE(popularity >= 0 && popularity <= 1);
    }
  }
}

}  // namespace
}  // namespace headrace
