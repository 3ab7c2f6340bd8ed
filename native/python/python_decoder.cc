// SPDX-License-Identifier: Apache-2.0
#include "python_decoder.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace nb = nanobind;
using edgestream::Decoder;
using edgestream::LogitsOf;
using edgestream::RegionRows;

namespace {

const char* name_of(LogitsOf wanted) {
  if (wanted == LogitsOf::kNone) return "none";
  return wanted == LogitsOf::kLastRow ? "last" : "every";
}

nb::object view(std::span<const float> rows, int n_embd) {
  const auto width = static_cast<size_t>(n_embd);
  const nb::ndarray<nb::numpy, const float, nb::ndim<2>> array(rows.data(),
                                                               {rows.size() / width, width});
  return nb::cast(array, nb::rv_policy::reference);
}

}  // namespace

PythonDecoder::PythonDecoder(int n_embd, int n_vocab, int max_proposal)
    : n_embd_(n_embd), n_vocab_(n_vocab), max_proposal_(max_proposal) {
  if (std::min({n_embd, n_vocab, max_proposal}) < 1) {
    throw std::invalid_argument("decoder: n_embd, n_vocab and max_proposal must be 1 or more");
  }
}

void PythonDecoder::token_embedding(int32_t token, std::span<float> out) const {
  if (token < 0 || token >= n_vocab_) {
    throw std::invalid_argument("decoder: there is no token " + std::to_string(token) +
                                "; this model has " + std::to_string(n_vocab_));
  }
  const nb::gil_scoped_acquire gil;
  nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu> row;
  if (!nb::try_cast(nb_trampoline.base().attr("_token_embedding")(token), row, false) ||
      row.size() != out.size()) {
    throw std::invalid_argument("decoder: _token_embedding() must return float32 [" +
                                std::to_string(n_embd_) + "]");
  }
  std::copy_n(row.data(), row.size(), out.begin());
}

void PythonDecoder::compute(std::span<const RegionRows> groups, int64_t n_rows, LogitsOf wanted) {
  nb::list views;
  for (const RegionRows& group : groups) views.append(view(group.embeddings, n_embd_));
  const int64_t n_wanted = wanted == LogitsOf::kEveryRow ? n_rows : wanted == LogitsOf::kLastRow;
  const nb::object given = nb_trampoline.base().attr("_step")(views, name_of(wanted));
  if (!nb::try_cast(given, logits_, false) || std::cmp_not_equal(logits_.shape(0), n_wanted) ||
      std::cmp_not_equal(logits_.shape(1), n_vocab_)) {
    throw std::runtime_error("decoder: _step() must return float32 [" + std::to_string(n_wanted) +
                             ", " + std::to_string(n_vocab_) + "]");
  }
  const std::span<const float> logits(logits_.data(), logits_.size());
  if (!std::ranges::all_of(logits, [](float x) { return std::isfinite(x); })) {
    throw std::runtime_error(
        "decoder: the logits are not finite; the input or the weights are out of range. Reset the "
        "stream");
  }
}

std::span<const float> PythonDecoder::step(std::span<const RegionRows> groups, LogitsOf wanted) {
  const int64_t n_rows = checked_rows(groups);
  const nb::gil_scoped_acquire gil;
  state_.step([&] { compute(groups, n_rows, wanted); });
  pos_ += n_rows;
  return {logits_.data(), logits_.size()};
}

std::span<const float> PythonDecoder::propose(std::span<const RegionRows> groups) {
  const int64_t n_rows = checked_rows(groups);
  const nb::gil_scoped_acquire gil;
  state_.propose(n_rows, max_proposal_, [&] { compute(groups, n_rows, LogitsOf::kEveryRow); });
  return {logits_.data(), logits_.size()};
}

void PythonDecoder::keep(int n_rows) {
  state_.require_keep(n_rows);
  const nb::gil_scoped_acquire gil;
  const int n_dropped = state_.n_proposed() - n_rows;
  if (n_dropped > 0) nb_trampoline.base().attr("_take_back")(n_dropped);
  pos_ += n_rows;
  state_.close_proposal();
}

std::span<const float> PythonDecoder::attention_before(int region, int n_after) const {
  require_region(region);
  const nb::gil_scoped_acquire gil;
  const nb::handle self = nb_trampoline.base();
  if (!nb::hasattr(self, "_attention")) return {};
  if (!nb::try_cast(self.attr("_attention")(n_after), weights_, false) ||
      std::cmp_greater(weights_.size(), pos_ + state_.n_proposed() - n_after)) {
    throw std::runtime_error("decoder: _attention() must return float32 [n] of kept rows");
  }
  return {weights_.data(), weights_.size()};
}

std::span<const int32_t> PythonDecoder::heard_at(int n) const {
  const nb::gil_scoped_acquire gil;
  const nb::handle self = nb_trampoline.base();
  if (!nb::hasattr(self, "heard_at")) return {};
  if (!nb::try_cast(self.attr("heard_at")(n), places_, false) ||
      (places_.size() != 0 && std::cmp_not_equal(places_.size(), n + 1))) {
    throw std::runtime_error("decoder: heard_at() must return int32 [" + std::to_string(n + 1) +
                             "], or none");
  }
  return {places_.data(), places_.size()};
}

std::shared_ptr<Decoder> PythonDecoder::fork() const {
  const nb::gil_scoped_acquire gil;
  state_.require_ready();
  nb::object other = nb_trampoline.base().attr("_fork")();
  Decoder* decoder = nullptr;
  auto* python = nb::try_cast(other, decoder) ? dynamic_cast<PythonDecoder*>(decoder) : nullptr;
  if (python == nullptr) throw std::runtime_error("decoder: _fork() must return such a decoder");
  python->pos_ = pos_;
  return {python, [object = std::move(other)](Decoder*) mutable {
            const nb::gil_scoped_acquire gil;
            object.reset();
          }};
}

void PythonDecoder::reset() {
  const nb::gil_scoped_acquire gil;
  nb_trampoline.base().attr("_reset")();
  pos_ = 0;
  state_.reset();
}
