// SPDX-License-Identifier: Apache-2.0
// An operator new that counts, in place of the program's own. Include it in one file of a program.
#pragma once

#include <atomic>
#include <cstdlib>
#include <new>

namespace edgestream {
inline std::atomic<long> allocations = 0;
}  // namespace edgestream

void* operator new(std::size_t size) {
  edgestream::allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size > 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
