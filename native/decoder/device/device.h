// SPDX-License-Identifier: Apache-2.0
// The device that computes, found through ggml's registry.
#pragma once

#include <string>

#include "decoder/device/ggml_handles.h"

namespace edgestream {

/// Name of ggml's device for the processor itself; there always is one.
inline constexpr const char* kCpuDevice = "CPU";
/// Stands for the first GPU, or the processor where ggml has none.
inline constexpr const char* kAutoDevice = "auto";

/// What this build of ggml can compute on, in its own names and with commas between.
std::string device_names();

/// Backends that this build of ggml has and that found nothing to compute on, as a build for GPUs
/// does on a machine without one; with commas between, empty when there are none.
std::string idle_backends();

/// The device called `name`, as ggml calls it in any case, or kAutoDevice. Throws
/// std::invalid_argument listing those that there are, and the backends that found none.
ggml_backend_dev_t find_device(const std::string& name);

/// A stream of work on `device` that uses `n_threads` threads where the device has threads. Throws
/// std::invalid_argument on a count out of range and std::runtime_error when the device fails.
BackendHandle open_device(ggml_backend_dev_t device, int n_threads);

/// Memory on `device` for every tensor of `context`, zeroed. `what` is named in the
/// std::runtime_error that is thrown when there is too little.
BufferHandle allocate_tensors(ggml_context* context, ggml_backend_dev_t device, const char* what);

/// Memory on `device` for those matrices of `context` that it multiplies with faster when their
/// rows are interleaved (ggml's repacked layouts); null where there are none. Each must be set
/// whole. Throws as allocate_tensors() does.
BufferHandle allocate_repacked(ggml_context* context, ggml_backend_dev_t device, const char* what);

}  // namespace edgestream
