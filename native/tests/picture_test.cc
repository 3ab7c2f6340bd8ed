// SPDX-License-Identifier: Apache-2.0
#include "core/picture/picture.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

using edgestream::PictureResizer;

namespace {

std::vector<std::uint8_t> noise(std::size_t width, std::size_t height, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> draw(0, 255);
  std::vector<std::uint8_t> rgb(width * height * 3);
  for (std::uint8_t& value : rgb) value = static_cast<std::uint8_t>(draw(random));
  return rgb;
}

std::vector<float> resized(PictureResizer& resizer, const std::vector<std::uint8_t>& rgb,
                           std::size_t width, std::size_t height) {
  std::vector<float> out(resizer.width() * resizer.height() * 3, NAN);
  resizer.push(rgb, width, height, out);
  return out;
}

double mean(const std::vector<float>& values) {
  double sum = 0.0;
  for (const float value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

}  // namespace

TEST_CASE("its own size comes through unchanged") {
  PictureResizer resizer(7, 5);
  const auto rgb = noise(7, 5, 1);
  const auto out = resized(resizer, rgb, 7, 5);
  for (std::size_t i = 0; i < rgb.size(); ++i) CHECK(out[i] == static_cast<float>(rgb[i]) / 255.0F);
}

TEST_CASE("one colour stays that colour at any size, and never leaves [0, 1]") {
  PictureResizer resizer(13, 9);
  for (const std::size_t side : {1U, 2U, 9U, 12U, 13U, 14U, 100U, 997U}) {
    for (const int value : {0, 77, 255}) {
      const std::vector<std::uint8_t> rgb(side * (side + 1) * 3, static_cast<std::uint8_t>(value));
      for (const float out : resized(resizer, rgb, side, side + 1)) {
        CHECK(out == doctest::Approx(value / 255.0).epsilon(1e-5));
        CHECK(out <= 1.0F);
      }
    }
  }
}

TEST_CASE("shrinking by area keeps the mean, whatever the sizes") {
  PictureResizer resizer(11, 6);
  for (const std::size_t width : {11U, 12U, 23U, 110U, 641U}) {
    const auto rgb = noise(width, 50, static_cast<unsigned>(width));
    double sum = 0.0;
    for (const std::uint8_t value : rgb) sum += value;
    const double expected = sum / static_cast<double>(rgb.size()) / 255.0;
    CHECK(mean(resized(resizer, rgb, width, 50)) == doctest::Approx(expected).epsilon(1e-5));
  }
}

TEST_CASE("a picture's result depends on no earlier picture") {
  PictureResizer used(16, 12);
  for (unsigned seed = 0; seed < 20; ++seed) {
    const std::size_t width = 1 + (seed * 37) % 90;
    const std::size_t height = 1 + (seed * 53) % 70;
    const auto rgb = noise(width, height, seed);
    PictureResizer fresh(16, 12);
    CHECK(resized(used, rgb, width, height) == resized(fresh, rgb, width, height));
  }
}

TEST_CASE("a single pixel and a long strip can be read") {
  PictureResizer resizer(4, 3);
  const std::vector<std::uint8_t> pixel = {255, 0, 51};
  const auto out = resized(resizer, pixel, 1, 1);
  for (std::size_t i = 0; i < out.size(); ++i) {
    CHECK(out[i] == static_cast<float>(pixel[i % 3]) / 255.0F);
  }
  const auto strip = noise(PictureResizer::kMaxSide, 1, 3);
  for (const float value : resized(resizer, strip, PictureResizer::kMaxSide, 1)) {
    CHECK(value == doctest::Approx(0.5).epsilon(0.05));
  }
}

TEST_CASE("wrong sizes are named") {
  CHECK_THROWS_WITH_AS(PictureResizer(0, 3), "picture: width is 0 pixels; it must be 1 to 4096",
                       std::invalid_argument);
  CHECK_THROWS_AS(PictureResizer(3, 4097), std::invalid_argument);
  PictureResizer resizer(4, 3);
  std::vector<float> out(36);
  CHECK_THROWS_WITH_AS(resizer.push(std::vector<std::uint8_t>(11), 2, 2, out),
                       "picture: input has 11 values; 2 x 2 pixels of RGB have 12",
                       std::invalid_argument);
  CHECK_THROWS_AS(resizer.push({}, 0, 2, out), std::invalid_argument);
  out.pop_back();
  CHECK_THROWS_AS(resizer.push(noise(2, 2, 1), 2, 2, out), std::invalid_argument);
}
