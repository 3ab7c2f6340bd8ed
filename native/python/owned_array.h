// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>

/// A new numpy array of a given shape: filled through `values`, then handed to Python.
template <typename T, std::size_t n_dims>
class OwnedArray {
 public:
  using Array = nanobind::ndarray<nanobind::numpy, T, nanobind::ndim<n_dims>>;

  explicit OwnedArray(const std::array<std::size_t, n_dims>& shape) : shape_(shape) {
    for (const std::size_t extent : shape) size_ *= extent;
    data_ = std::make_unique_for_overwrite<T[]>(size_);
  }

  std::span<T> values() { return {data_.get(), size_}; }

  /// GIL needed. The array owns the memory from now on.
  Array release() {
    nanobind::capsule owner(data_.get(), [](void* data) noexcept {
      std::unique_ptr<T[]>(static_cast<T*>(data)).reset();
    });
    return Array(data_.release(), n_dims, shape_.data(), owner);
  }

 private:
  std::array<std::size_t, n_dims> shape_;
  std::size_t size_ = 1;
  std::unique_ptr<T[]> data_;
};

/// A copy of `values` as a numpy array. GIL needed.
template <typename T>
typename OwnedArray<T, 1>::Array array_of(std::span<const T> values) {
  OwnedArray<T, 1> array({values.size()});
  std::ranges::copy(values, array.values().begin());
  return array.release();
}
