// SPDX-License-Identifier: Apache-2.0
#include "decoder/file/gguf_model.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <new>

#include "owned_array.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using edgestream::GgufModel;

OwnedArray<float, 1>::Array token_embedding(const GgufModel& model, int32_t token) {
  OwnedArray<float, 1> row({static_cast<size_t>(model.shape().row_width())});
  model.token_embedding(token, row.values());
  return row.release();
}

// The bytes of a damaged file need not be UTF-8.
nb::list token_texts(const GgufModel& model) {
  nb::list texts;
  for (const std::string& text : model.token_texts()) {
    texts.append(nb::steal(
        PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace")));
  }
  return texts;
}

}  // namespace

void bind_gguf_model(nb::module_& m) {
  nb::class_<GgufModel>(m, "GgufModel",
                        "The weights of a GGUF decoder, shared by its "
                        "streams. Immutable: may be used from several threads.")
      .def(
          "__init__",
          [](GgufModel* self, const std::string& path, const std::string& device) {
            nb::gil_scoped_release release;
            new (self) GgufModel(path, device);
          },
          "path"_a, nb::kw_only(), "device"_a = edgestream::kCpuDevice,
          "Raises ValueError naming file and finding on a file that is damaged or not supported, "
          "RuntimeError when memory or the device fails. `device` is ggml's name for it in any "
          "case (CPU, CUDA0), or 'auto': the first GPU, the CPU where there is none.")
      .def("token_embedding", &token_embedding, "token"_a,
           "The input embedding of a token, float32 [n_embd].")
      .def("token_texts", &token_texts, nb::sig("def token_texts(self) -> list[str]"),
           "The tokenizer's text of every token as it stands in the file; empty when it has none.")
      .def("metadata", &GgufModel::metadata, "key"_a,
           nb::sig("def metadata(self, key: str) -> bool | int | float | str | list[bool] | "
                   "list[int] | list[float] | list[str] | None"),
           "The value of a key of the file, or None.")
      .def_prop_ro(
          "n_embd", [](const GgufModel& self) { return self.shape().row_width(); },
          "Width of an input row, with a part for each of n_deepstack layers.")
      .def_prop_ro(
          "n_deepstack", [](const GgufModel& self) { return self.shape().n_deepstack; },
          "Layers behind each of which a part of its own is added to a row: zeros in a token's.")
      .def_prop_ro("n_vocab", [](const GgufModel& self) { return self.shape().n_vocab; })
      .def_prop_ro("n_delays", [](const GgufModel& self) { return self.shape().n_delays; })
      .def_prop_ro("n_layers", [](const GgufModel& self) { return self.shape().n_layers; })
      .def_prop_ro("weight_bytes", &GgufModel::weight_bytes)
      .def_prop_ro(
          "device", [](const GgufModel& self) { return ggml_backend_dev_name(self.device()); },
          "The device that computes, as ggml calls it.");
  m.def("device_names", &edgestream::device_names,
        "What ggml can compute on, with commas between.");
  m.def("idle_backends", &edgestream::idle_backends,
        "Backends of ggml that found nothing to compute on, with commas between.");
}
