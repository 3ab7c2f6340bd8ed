// SPDX-License-Identifier: Apache-2.0
#include "decoder/device/device.h"

#include <dlfcn.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include <filesystem>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace edgestream {

namespace {

constexpr int kMaxThreads = 256;

// A ggml that keeps its backends in plugins has none until they are loaded. They lie beside
// libggml; ggml's own search would also look into the current directory, which anybody may have
// filled.
void load_plugins_once() {
  static const bool loaded = [] {
    Dl_info library;
    if (ggml_backend_dev_count() == 0 &&
        dladdr(reinterpret_cast<void*>(&ggml_backend_dev_count), &library) != 0) {
      const auto folder = std::filesystem::path(library.dli_fname).parent_path();
      ggml_backend_load_all_from_path(folder.c_str());
    }
    return true;
  }();
  static_cast<void>(loaded);
}

void set_threads(ggml_backend_dev_t device, ggml_backend_t backend, int n_threads) {
  auto* const set =
      reinterpret_cast<ggml_backend_set_n_threads_t>(ggml_backend_reg_get_proc_address(
          ggml_backend_dev_backend_reg(device), "ggml_backend_set_n_threads"));
  if (set != nullptr) set(backend, n_threads);
}

// Asks for large pages before the memory is first touched: a step reads all weights once, and small
// pages cost it a few per cent. Only a hint, and only on Linux.
void ask_for_large_pages([[maybe_unused]] ggml_backend_buffer_t buffer) {
#ifdef __linux__
  constexpr uintptr_t kLargePage = uintptr_t{2} << 20;
  const auto start = reinterpret_cast<uintptr_t>(ggml_backend_buffer_get_base(buffer));
  const uintptr_t first = (start + kLargePage - 1) / kLargePage * kLargePage;
  const uintptr_t end = (start + ggml_backend_buffer_get_size(buffer)) / kLargePage * kLargePage;
  if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#endif
}

[[noreturn]] void fail_without_memory(size_t bytes, ggml_backend_dev_t device, const char* what) {
  throw std::runtime_error(std::string(what) + ": " + std::to_string(bytes >> 20) +
                           " MiB cannot be had on " + ggml_backend_dev_name(device) +
                           "; use a smaller model or window");
}

// Where the processor keeps matrices with interleaved rows; null on other devices.
ggml_backend_buffer_type_t repacked_type(ggml_backend_dev_t device) {
  auto* const find =
      reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(ggml_backend_reg_get_proc_address(
          ggml_backend_dev_backend_reg(device), "ggml_backend_dev_get_extra_bufts"));
  if (find == nullptr) return nullptr;
  for (auto* type = find(device); type != nullptr && *type != nullptr; ++type) {
    if (std::string_view(ggml_backend_buft_name(*type)) == "CPU_REPACK") return *type;
  }
  return nullptr;
}

// The types that gain by it. Whether this processor interleaves a matrix of such a shape is asked
// of a product with it, before there is data.
bool gains_by_repacking(ggml_backend_dev_t device, ggml_backend_buffer_t empty,
                        ggml_tensor* matrix) {
  if (matrix->type != GGML_TYPE_Q4_0 && matrix->type != GGML_TYPE_IQ4_NL) return false;
  const ContextHandle context = make_context(2);
  ggml_tensor* const row = ggml_new_tensor_1d(context.get(), GGML_TYPE_F32, matrix->ne[0]);
  const ggml_tensor* const product = ggml_mul_mat(context.get(), matrix, row);
  matrix->buffer = empty;
  const bool gains = ggml_backend_dev_supports_op(device, product);
  matrix->buffer = nullptr;
  return gains;
}

void add_name(std::string& names, const char* name) {
  if (!names.empty()) names += ", ";
  names += name;
}

ggml_backend_dev_t best_device() {
  for (const auto type : {GGML_BACKEND_DEVICE_TYPE_GPU, GGML_BACKEND_DEVICE_TYPE_IGPU}) {
    if (ggml_backend_dev_t device = ggml_backend_dev_by_type(type)) return device;
  }
  return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
}

}  // namespace

std::string device_names() {
  load_plugins_once();
  std::string names;
  for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    add_name(names, ggml_backend_dev_name(ggml_backend_dev_get(i)));
  }
  return names.empty() ? "none" : names;
}

std::string idle_backends() {
  load_plugins_once();
  std::string names;
  for (size_t i = 0; i < ggml_backend_reg_count(); ++i) {
    ggml_backend_reg_t backend = ggml_backend_reg_get(i);
    if (ggml_backend_reg_dev_count(backend) == 0) add_name(names, ggml_backend_reg_name(backend));
  }
  return names;
}

ggml_backend_dev_t find_device(const std::string& name) {
  load_plugins_once();
  if (name == kAutoDevice) return best_device();
  ggml_backend_dev_t device = ggml_backend_dev_by_name(name.c_str());
  if (device == nullptr) {
    const std::string idle = idle_backends();
    throw std::invalid_argument("device: there is no '" + name +
                                "'; this build of llama-cpp-python has: " + device_names() +
                                (idle.empty() ? "" : "; and finds nothing to run on for: " + idle));
  }
  return device;
}

BackendHandle open_device(ggml_backend_dev_t device, int n_threads) {
  if (n_threads < 1 || n_threads > kMaxThreads) {
    throw std::invalid_argument("decoder: n_threads is " + std::to_string(n_threads) +
                                ", it must be 1 to " + std::to_string(kMaxThreads));
  }
  BackendHandle backend(ggml_backend_dev_init(device, nullptr));
  if (!backend) {
    throw std::runtime_error("device: " + std::string(ggml_backend_dev_name(device)) +
                             " cannot be opened; try the device CPU");
  }
  set_threads(device, backend.get(), n_threads);
  return backend;
}

BufferHandle allocate_tensors(ggml_context* context, ggml_backend_dev_t device, const char* what) {
  ggml_backend_buffer_type_t type = ggml_backend_dev_buffer_type(device);
  BufferHandle buffer(ggml_backend_alloc_ctx_tensors_from_buft(context, type));
  if (!buffer) {
    fail_without_memory(ggml_backend_alloc_ctx_tensors_from_buft_size(context, type), device, what);
  }
  if (ggml_backend_buffer_is_host(buffer.get())) ask_for_large_pages(buffer.get());
  ggml_backend_buffer_clear(buffer.get(), 0);
  return buffer;
}

BufferHandle allocate_repacked(ggml_context* context, ggml_backend_dev_t device, const char* what) {
  ggml_backend_buffer_type_t type = repacked_type(device);
  if (type == nullptr) return nullptr;
  const BufferHandle empty(ggml_backend_buft_alloc_buffer(type, 0));
  std::vector<ggml_tensor*> matrices;
  size_t n_bytes = 0;
  for (ggml_tensor* tensor = ggml_get_first_tensor(context); tensor != nullptr;
       tensor = ggml_get_next_tensor(context, tensor)) {
    if (!gains_by_repacking(device, empty.get(), tensor)) continue;
    matrices.push_back(tensor);
    n_bytes += GGML_PAD(ggml_backend_buft_get_alloc_size(type, tensor),
                        ggml_backend_buft_get_alignment(type));
  }
  if (matrices.empty()) return nullptr;
  BufferHandle buffer(ggml_backend_buft_alloc_buffer(type, n_bytes));
  if (!buffer) fail_without_memory(n_bytes, device, what);
  ask_for_large_pages(buffer.get());
  ggml_tallocr places = ggml_tallocr_new(buffer.get());
  for (ggml_tensor* const matrix : matrices) ggml_tallocr_alloc(&places, matrix);
  return buffer;
}

}  // namespace edgestream
