// SPDX-License-Identifier: Apache-2.0
#include "core/sound/chunker.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <span>
#include <stdexcept>
#include <vector>

using edgestream::Chunker;
using edgestream::ChunkerConfig;

namespace {

constexpr float kPad = -11.5F;

std::vector<float> push(Chunker& chunker, std::span<const float> frames) {
  const std::size_t n_chunks = chunker.chunks_after(frames.size() / chunker.n_bins());
  std::vector<float> chunks(n_chunks * chunker.frames_per_chunk() * chunker.n_bins(), NAN);
  chunker.push(frames, chunks);
  return chunks;
}

std::vector<float> finish(Chunker& chunker) {
  const std::size_t n_chunks = chunker.chunks_at_finish();
  std::vector<float> chunks(n_chunks * chunker.frames_per_chunk() * chunker.n_bins(), NAN);
  chunker.finish(chunks);
  return chunks;
}

void append(std::vector<float>& to, const std::vector<float>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

std::vector<float> numbered_frames(int n_frames, int n_bins) {
  std::vector<float> frames;
  for (int i = 0; i < n_frames * n_bins; ++i) frames.push_back(static_cast<float>(i));
  return frames;
}

/// All chunks of a whole stream, by indexing.
std::vector<float> expected_chunks(const ChunkerConfig& config, int n_frames) {
  const std::vector<float> frames = numbered_frames(n_frames, config.n_bins);
  std::vector<float> chunks;
  for (int start = 0; start < n_frames; start += config.chunk_frames) {
    const int end = start + config.chunk_frames + config.right_frames;
    for (int frame = start - config.left_frames; frame < end; ++frame) {
      const bool inside = frame >= 0 && frame < n_frames;
      for (int bin = 0; bin < config.n_bins; ++bin) {
        chunks.push_back(inside ? frames[static_cast<std::size_t>(frame * config.n_bins + bin)]
                                : kPad);
      }
    }
  }
  return chunks;
}

/// Pushes the stream in random pieces; checks that nothing comes later than its look-ahead allows.
void check_cutting(const ChunkerConfig& config, int n_frames, std::mt19937& random) {
  Chunker chunker(config);
  const std::vector<float> frames = numbered_frames(n_frames, config.n_bins);
  const std::vector<float> expected = expected_chunks(config, n_frames);
  const std::size_t chunk_values = chunker.frames_per_chunk() * chunker.n_bins();
  std::vector<float> got;
  for (int at = 0; at < n_frames;) {
    const int n = std::min(std::uniform_int_distribution<int>(0, 20)(random), n_frames - at);
    append(got,
           push(chunker, std::span(frames).subspan(static_cast<std::size_t>(at * config.n_bins),
                                                   static_cast<std::size_t>(n * config.n_bins))));
    at += n;
    const int complete = std::max(0, (at - config.right_frames)) / config.chunk_frames;
    CHECK(got.size() == static_cast<std::size_t>(complete) * chunk_values);
  }
  append(got, finish(chunker));
  CHECK(got == expected);
  CHECK(finish(chunker).empty());
}

}  // namespace

TEST_CASE("any cutting gives the chunks of the whole stream") {
  std::mt19937 random(3);
  for (const int left : {0, 1, 5, 17}) {
    for (const int chunk : {1, 3, 8}) {
      for (const int right : {0, 1, 8, 19}) {
        for (const int n_frames : {0, 1, 7, 8, 9, 64, 101}) {
          CAPTURE(left);
          CAPTURE(chunk);
          CAPTURE(right);
          CAPTURE(n_frames);
          check_cutting({2, left, chunk, right, kPad}, n_frames, random);
        }
      }
    }
  }
}

TEST_CASE("reset begins a new stream") {
  const ChunkerConfig config{3, 2, 4, 1, kPad};
  Chunker chunker(config);
  push(chunker, numbered_frames(9, 3));
  chunker.reset();
  std::vector<float> got = push(chunker, numbered_frames(6, 3));
  append(got, finish(chunker));
  CHECK(got == expected_chunks(config, 6));
  CHECK_THROWS_WITH_AS(push(chunker, numbered_frames(1, 3)),
                       "chunker: push after finish; call reset first", std::runtime_error);
  chunker.reset();
  CHECK(push(chunker, numbered_frames(6, 3)).size() == 21);
}

TEST_CASE("wrong shapes are refused with their numbers") {
  CHECK_THROWS_AS(Chunker({0, 0, 8, 0, kPad}), std::invalid_argument);
  CHECK_THROWS_AS(Chunker({80, 0, 0, 0, kPad}), std::invalid_argument);
  CHECK_THROWS_AS(Chunker({80, -1, 8, 0, kPad}), std::invalid_argument);
  CHECK_THROWS_AS(Chunker({80, 0, 8, -1, kPad}), std::invalid_argument);
  CHECK_THROWS_AS(Chunker({1 << 20, 1 << 20, 8, 0, kPad}), std::invalid_argument);
  Chunker chunker({80, 0, 8, 0, kPad});
  std::vector<float> none;
  CHECK_THROWS_WITH_AS(chunker.push(std::vector<float>(81), none),
                       "chunker: got 81 values, which is no whole number of frames of 80 bins",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(chunker.push(std::vector<float>(640), none),
                       "chunker: room for 0 values, need 1 chunks of 640", std::invalid_argument);
}
