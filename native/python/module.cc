// SPDX-License-Identifier: Apache-2.0
// The native core as the Python module edgestream._native: one bind_* file per core file.
#include <nanobind/nanobind.h>

void bind_chunker(nanobind::module_& m);
void bind_gguf_model(nanobind::module_& m);
void bind_decoder(nanobind::module_& m);
void bind_drafter(nanobind::module_& m);
void bind_loop(nanobind::module_& m);
void bind_mel(nanobind::module_& m);
void bind_mmproj(nanobind::module_& m);
void bind_picture(nanobind::module_& m);
void bind_policy(nanobind::module_& m);
void bind_sample_ring(nanobind::module_& m);
void bind_token_aligner(nanobind::module_& m);
void bind_turn_loop(nanobind::module_& m);

NB_MODULE(_native, m) {
  // A program may end with a stream alive; the system takes its memory, and nobody wants a list.
  nanobind::set_leak_warnings(false);
  m.doc() = "Native core of edgestream.";
  bind_sample_ring(m);
  bind_mel(m);
  bind_chunker(m);
  bind_picture(m);
  bind_policy(m);
  bind_gguf_model(m);
  bind_decoder(m);
  bind_mmproj(m);
  bind_loop(m);
  bind_drafter(m);
  bind_turn_loop(m);
  bind_token_aligner(m);
}
