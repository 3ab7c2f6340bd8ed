// SPDX-License-Identifier: Apache-2.0
#include "core/picture/tile_gate.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

#include "core/picture/token_gate.h"

using edgestream::TileChange;
using edgestream::TileGate;
using edgestream::TileGateConfig;
using edgestream::TokenGate;

namespace {

// 5 x 4 tiles of 4 pixels, those at the right and the lower edge smaller.
constexpr TileGateConfig kSmall = {.width = 18, .height = 14, .tile_px = 4};
constexpr std::size_t kTiles = 20;

std::vector<float> plain(float value) { return std::vector<float>(18 * 14 * 3, value); }

void paint(std::vector<float>& rgb, std::size_t x, std::size_t y, float value) {
  std::fill_n(rgb.begin() + static_cast<std::ptrdiff_t>((y * 18 + x) * 3), 3, value);
}

}  // namespace

TEST_CASE("the first picture is kept whole, also after reset, and is no change of shot") {
  TileGate gate(kSmall);
  std::vector<std::uint8_t> kept(kTiles);
  for (int round = 0; round < 2; ++round) {
    const TileChange first = gate.push(plain(0.5F), kept);
    CHECK(first.n_kept == kTiles);
    CHECK_FALSE(first.shot_change);
    CHECK(gate.drop_ratio() == 0.0);
    CHECK(gate.push(plain(0.5F), kept).n_kept == 0);
    CHECK(gate.drop_ratio() == 0.5);
    gate.reset();
    CHECK(gate.drop_ratio() == 0.0);
  }
}

TEST_CASE("only the tile under a change is kept, small tiles at the edge too") {
  for (const std::size_t y : {0U, 3U, 4U, 12U, 13U}) {
    for (const std::size_t x : {0U, 7U, 15U, 16U, 17U}) {
      TileGate gate(kSmall);
      std::vector<std::uint8_t> kept(kTiles);
      gate.push(plain(0.25F), kept);
      std::vector<float> rgb = plain(0.25F);
      paint(rgb, x, y, 0.9F);
      CHECK(gate.push(rgb, kept).n_kept == 1);
      CHECK(kept[(y / 4) * 5 + x / 4] == 1);
    }
  }
}

TEST_CASE("slow drift adds up until it is seen, and then counts anew") {
  TileGate gate(kSmall);
  std::vector<std::uint8_t> kept(kTiles);
  std::vector<int> seen_at;
  for (int i = 0; i < 30; ++i) {
    if (gate.push(plain(0.2F + 0.0051F * static_cast<float>(i)), kept).n_kept > 0) {
      seen_at.push_back(i);
    }
  }
  CHECK(seen_at == std::vector<int>{0, 4, 8, 12, 16, 20, 24, 28});
}

TEST_CASE("noise is dropped; a change of shot is one picture long") {
  std::mt19937 random(5);
  std::normal_distribution<float> draw(0.0F, 0.008F);
  TileGate gate(kSmall);
  std::vector<std::uint8_t> kept(kTiles);
  std::vector<int> shots;
  for (int i = 0; i < 60; ++i) {
    std::vector<float> rgb = plain(i < 30 ? 0.3F : 0.8F);
    for (float& value : rgb) value += draw(random);
    const TileChange change = gate.push(rgb, kept);
    if (change.shot_change) shots.push_back(i);
    CHECK(change.n_kept == (i == 0 || i == 30 ? kTiles : 0));
  }
  CHECK(shots == std::vector<int>{30});
}

TEST_CASE("a picture that only moves in itself is no change of shot") {
  // Noise of three greys: shifted by a pixel every tile changes and the histogram hardly.
  std::mt19937 random(6);
  std::uniform_int_distribution<int> draw(0, 2);
  std::vector<float> rgb = plain(0.0F);
  for (std::size_t i = 0; i < rgb.size(); i += 3) {
    std::fill_n(rgb.begin() + static_cast<std::ptrdiff_t>(i), 3,
                0.2F + 0.3F * static_cast<float>(draw(random)));
  }
  TileGate gate(kSmall);
  std::vector<std::uint8_t> kept(kTiles);
  gate.push(rgb, kept);
  std::rotate(rgb.begin(), rgb.begin() + 3, rgb.end());
  const TileChange change = gate.push(rgb, kept);
  CHECK(change.n_kept == kTiles);
  CHECK_FALSE(change.shot_change);
}

TEST_CASE("values that are not numbers are a change and nothing worse") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  TileGate gate(kSmall);
  std::vector<std::uint8_t> kept(kTiles);
  gate.push(plain(0.5F), kept);
  for (const float value : {NAN, kInfinity, -kInfinity, 1e30F}) {
    std::vector<float> rgb = plain(0.5F);
    paint(rgb, 9, 9, value);
    CHECK(gate.push(rgb, kept).n_kept == 1);
    CHECK(kept[2 * 5 + 2] == 1);
  }
}

TEST_CASE("a gate refuses what it cannot serve") {
  CHECK_THROWS_WITH_AS(TileGate({.tile_px = 0}),
                       "tile gate: tile_px is 0 pixels; it must be 1 to 4096",
                       std::invalid_argument);
  CHECK_THROWS_AS(TileGate({.width = 5000}), std::invalid_argument);
  CHECK_THROWS_AS(TileGate({.min_difference = NAN}), std::invalid_argument);
  CHECK_THROWS_AS(TileGate({.min_shot_share = 1.5F}), std::invalid_argument);
  TileGate gate(kSmall);
  std::vector<std::uint8_t> kept(kTiles - 1);
  CHECK_THROWS_AS(gate.push(plain(0.5F), kept), std::invalid_argument);
  kept.resize(kTiles);
  CHECK_THROWS_AS(gate.push(std::vector<float>(3), kept), std::invalid_argument);
}

TEST_CASE("an embedding is kept when it has turned away from the last kept one of its cell") {
  constexpr double kStepRad = 0.1;
  TokenGate gate(2, 2, static_cast<float>(std::cos(0.35)));
  std::vector<std::uint8_t> kept(2);
  std::vector<int> seen_at;
  for (int i = 0; i < 12; ++i) {
    const auto length = static_cast<float>(1 + i);  // which does not count
    const std::vector<float> embeddings = {length * static_cast<float>(std::cos(kStepRad * i)),
                                           length * static_cast<float>(std::sin(kStepRad * i)),
                                           length, 0.0F};
    gate.push(embeddings, kept);
    if (kept[0] == 1) seen_at.push_back(i);
    CHECK(kept[1] == (i == 0 ? 1 : 0));
  }
  CHECK(seen_at == std::vector<int>{0, 4, 8});
  CHECK(gate.drop_ratio() == doctest::Approx(1.0 - 4.0 / 24.0));
}

TEST_CASE("embeddings without a direction are kept") {
  TokenGate gate(3, 2, 0.5F);
  std::vector<std::uint8_t> kept(3);
  const std::vector<float> embeddings = {0.0F, 0.0F, NAN, 1.0F, 1.0F, 1.0F};
  CHECK(gate.push(embeddings, kept) == 3);
  CHECK(gate.push(embeddings, kept) == 2);
  CHECK(kept == std::vector<std::uint8_t>{1, 1, 0});
  gate.reset();
  CHECK(gate.push(embeddings, kept) == 3);
}

TEST_CASE("what a memory of rows would lose is kept again, so that it always holds every cell") {
  constexpr std::size_t kCells = 6;
  constexpr std::int64_t kBesides = 2;
  constexpr std::int64_t kMemory = 20;
  TokenGate gate(kCells, 2, 0.9F, kMemory, kBesides);
  std::mt19937 random(7);
  std::vector<std::uint8_t> kept(kCells);
  std::vector<std::int64_t> memory;  // cells in the order in which they came, -1 for other rows
  int n_kept = 0;
  for (int picture = 0; picture < 400; ++picture) {
    std::vector<float> embeddings;
    for (std::size_t cell = 0; cell < kCells; ++cell) {
      const bool turned = cell == 0 || (cell < 3 && random() % 4 == 0);
      const float angle = turned ? static_cast<float>(random() % 6) : 0.F;
      embeddings.insert(embeddings.end(), {std::cos(angle), std::sin(angle)});
    }
    const std::size_t n = gate.push(embeddings, kept);
    n_kept += static_cast<int>(n);
    for (std::size_t cell = 0; cell < kCells; ++cell) {
      if (kept[cell] == 1) memory.push_back(static_cast<std::int64_t>(cell));
    }
    if (n > 0) memory.insert(memory.end(), kBesides, -1);
    if (std::ssize(memory) > kMemory) memory.erase(memory.begin(), memory.end() - kMemory);
    for (std::size_t cell = 0; cell < kCells; ++cell) {
      CHECK(std::ranges::count(memory, static_cast<std::int64_t>(cell)) > 0);
    }
  }
  CHECK(n_kept < 400 * static_cast<int>(kCells) / 2);
  CHECK_THROWS_AS(TokenGate(1, 1, 0.5F, -1), std::invalid_argument);
}

TEST_CASE("a token gate refuses what it cannot serve") {
  CHECK_THROWS_AS(TokenGate(0, 4, 0.5F), std::invalid_argument);
  CHECK_THROWS_AS(TokenGate(4, 0, 0.5F), std::invalid_argument);
  CHECK_THROWS_AS(TokenGate(std::size_t{1} << 40, std::size_t{1} << 30, 0.5F),
                  std::invalid_argument);
  CHECK_THROWS_WITH_AS(TokenGate(1, 1, 2.0F),
                       "token gate: max_cosine is 2.000000; it must be -1 to 1",
                       std::invalid_argument);
  TokenGate gate(2, 3, 0.5F);
  std::vector<std::uint8_t> kept(2);
  CHECK_THROWS_AS(gate.push(std::vector<float>(5), kept), std::invalid_argument);
  kept.resize(3);
  CHECK_THROWS_AS(gate.push(std::vector<float>(6), kept), std::invalid_argument);
}
