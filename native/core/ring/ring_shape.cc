// SPDX-License-Identifier: Apache-2.0
#include "core/ring/ring_shape.h"

#include <algorithm>
#include <array>
#include <bit>
#include <stdexcept>
#include <utility>

namespace edgestream {

namespace {

constexpr int kMaxSinks = 1 << 16;
constexpr int kMaxWindow = 1 << 20;
constexpr int kMaxRegions = 8;
constexpr int kMaxRows = 1 << 10;
constexpr int kMaxRebaseRows = 1 << 25;
constexpr int kMaxGap = 1 << 20;
// All keys are placed anew when rows leave: the more rows share that, the less it costs.
constexpr int kDefaultEvictRows = 16;
constexpr int kDefaultEvictions = 16;  // in which a large window is gone through
// An angle in float32 is off by 6e-8 of the position: keeping positions near the window keeps the
// logits of float32 rings within 1e-4 of float64. Turning the keys back costs each row once more
// than writing it did, under 1% of a step.
constexpr int kDefaultRebaseRows = 64;

void check(const std::string& what, int value, int low, int high) {
  if (value < low || value > high) {
    throw std::invalid_argument("ring: " + what + " is " + std::to_string(value) + ", it must be " +
                                std::to_string(low) + " to " + std::to_string(high));
  }
}

void check_regions(const std::vector<RegionShape>& regions) {
  check("the number of regions", static_cast<int>(regions.size()), 1, kMaxRegions);
  for (size_t i = 0; i < regions.size(); ++i) {
    const std::string& name = regions[i].name;
    check(regions.size() == 1 ? "window" : "window of " + name, regions[i].window, 1, kMaxWindow);
    for (size_t j = 0; j < i; ++j) {
      if (regions[j].name != name) continue;
      throw std::invalid_argument("ring: two regions are called '" + name + "'");
    }
  }
}

void check_window_only(const RingShape& shape) {
  if (shape.recent == 0 && shape.evict_rows == 0) return;
  throw std::invalid_argument(
      "ring: recent and evict_rows are for a retention by attention; with 'window' the oldest row "
      "leaves");
}

// Of 3 n rows in line n pairs of neighbours can be merged, whichever are taken first.
void check_retention(RingShape& shape) {
  if (shape.retention == Retention::kWindow) return check_window_only(shape);
  if (shape.regions.size() > 1) {
    throw std::invalid_argument(
        "ring: retention by attention is for one region; with several the oldest row of a region "
        "leaves ('window')");
  }
  const int window = shape.regions[0].window;
  check("recent", shape.recent, 0, window);
  if (shape.recent == 0) shape.recent = (window + 1) / 2;
  const int most = (window - shape.recent) / 3;
  if (most < shape.max_rows) {
    throw std::invalid_argument(
        "ring: a window of " + std::to_string(window) + " with " + std::to_string(shape.recent) +
        " recent rows is too small to choose who leaves; beside these it must be three times "
        "max_rows, " +
        std::to_string(3 * shape.max_rows));
  }
  if (shape.evict_rows == 0) {
    shape.evict_rows =
        std::min(std::max({kDefaultEvictRows, shape.max_rows, window / kDefaultEvictions}), most);
  }
  check("evict_rows", shape.evict_rows, shape.max_rows, most);
}

std::string describe_retention(const RingShape& shape) {
  if (shape.retention == Retention::kWindow) return "";
  return std::string(", retention ") +
         (shape.retention == Retention::kMerge ? "merge" : "heavy-hitter") + ", recent " +
         std::to_string(shape.recent) + ", evict_rows " + std::to_string(shape.evict_rows);
}

}  // namespace

int all_windows(const RingShape& shape) {
  int sum = 0;
  for (const RegionShape& region : shape.regions) sum += region.window;
  return sum;
}

std::string describe(const RingShape& shape) {
  constexpr std::array kLayouts = {"one-clock", "grouped", "overlap"};
  std::string text = "n_sinks " + std::to_string(shape.n_sinks) + ", windows";
  for (const RegionShape& region : shape.regions) {
    text += " " + region.name + " " + std::to_string(region.window);
  }
  return text + ", layout " + kLayouts[static_cast<size_t>(shape.layout)] + ", gap " +
         std::to_string(shape.gap) + ", max_rows " + std::to_string(shape.max_rows) +
         ", rebase_rows " + std::to_string(shape.rebase_rows) + describe_retention(shape);
}

RingShape checked(RingShape shape) {
  check("n_sinks", shape.n_sinks, 0, kMaxSinks);
  check_regions(shape.regions);
  check("max_rows", shape.max_rows, 1, kMaxRows);
  if (!std::has_single_bit(static_cast<unsigned>(shape.max_rows))) {
    throw std::invalid_argument("ring: max_rows is " + std::to_string(shape.max_rows) +
                                ", it must be a power of two");
  }
  const int least = all_windows(shape) + shape.max_rows;
  if (shape.rebase_rows == 0) shape.rebase_rows = std::max(kDefaultRebaseRows, least);
  check("rebase_rows", shape.rebase_rows, least, kMaxRebaseRows);
  check("gap", shape.gap, 0, shape.layout == Layout::kGrouped ? kMaxGap : 0);
  check_retention(shape);
  return shape;
}

}  // namespace edgestream
