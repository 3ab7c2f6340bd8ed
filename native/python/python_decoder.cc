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

/// A fork of a Python decoder for native code, which owns it as it owns any other decoder.
class ForkOfPython final : public Decoder {
 public:
  explicit ForkOfPython(nb::object object)
      : object_(std::move(object)), decoder_(nb::cast<Decoder&>(object_)) {}
  ~ForkOfPython() override {
    const nb::gil_scoped_acquire gil;
    object_.reset();
  }
  ForkOfPython(const ForkOfPython&) = delete;
  ForkOfPython& operator=(const ForkOfPython&) = delete;

  int n_embd() const override { return decoder_.n_embd(); }
  int n_vocab() const override { return decoder_.n_vocab(); }
  int n_regions() const override { return decoder_.n_regions(); }
  int max_proposal() const override { return decoder_.max_proposal(); }
  void token_embedding(int32_t token, std::span<float> out) const override {
    decoder_.token_embedding(token, out);
  }
  std::span<const float> step(std::span<const RegionRows> groups, LogitsOf wanted) override {
    return decoder_.step(groups, wanted);
  }
  std::span<const float> propose(std::span<const RegionRows> groups) override {
    return decoder_.propose(groups);
  }
  void keep(int n_rows) override { decoder_.keep(n_rows); }
  void begin_unit() override { decoder_.begin_unit(); }
  std::span<const float> attention(int region) const override { return decoder_.attention(region); }
  std::span<const int32_t> heard_at(int n) const override { return decoder_.heard_at(n); }
  std::unique_ptr<Decoder> fork() const override { return decoder_.fork(); }
  int64_t pos() const override { return decoder_.pos(); }
  void reset() override { decoder_.reset(); }

 private:
  nb::object object_;
  Decoder& decoder_;
};

}  // namespace

PythonDecoder::PythonDecoder(int n_embd, int n_vocab, int max_proposal, int n_regions)
    : n_embd_(n_embd), n_vocab_(n_vocab), max_proposal_(max_proposal), n_regions_(n_regions) {
  if (std::min({n_embd, n_vocab, max_proposal, n_regions}) < 1) {
    throw std::invalid_argument(
        "decoder: n_embd, n_vocab, max_proposal and n_regions must be 1 or more");
  }
}

void PythonDecoder::token_embedding(int32_t token, std::span<float> out) const {
  if (token < 0 || token >= n_vocab_) {
    throw std::invalid_argument("decoder: there is no token " + std::to_string(token) +
                                "; this model has " + std::to_string(n_vocab_));
  }
  const nb::gil_scoped_acquire gil;
  nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu> row;
  if (!nb::try_cast(nb_trampoline.base().attr("embedding")(token), row, false) ||
      row.size() != out.size()) {
    throw std::invalid_argument("decoder: embedding() must return float32 [" +
                                std::to_string(n_embd_) + "]");
  }
  std::copy_n(row.data(), row.size(), out.begin());
}

void PythonDecoder::check_ready() const {
  if (n_proposed_ > 0) {
    throw std::invalid_argument("decoder: a proposal of " + std::to_string(n_proposed_) +
                                " rows is open; keep() some or none of them first");
  }
  check_sound();
}

void PythonDecoder::check_sound() const {
  if (failed_) throw std::runtime_error("decoder: an earlier step failed; reset the stream");
}

std::span<const float> PythonDecoder::append(std::span<const RegionRows> groups, int64_t n_rows,
                                             LogitsOf wanted) {
  const nb::gil_scoped_acquire gil;
  failed_ = true;
  nb::list views;
  for (const RegionRows& group : groups) {
    views.append(nb::make_tuple(group.region, view(group.embeddings, n_embd_)));
  }
  const int64_t n_wanted = wanted == LogitsOf::kEveryRow ? n_rows : wanted == LogitsOf::kLastRow;
  const nb::object given = nb_trampoline.base().attr("append")(views, name_of(wanted));
  if (!nb::try_cast(given, logits_, false) || std::cmp_not_equal(logits_.shape(0), n_wanted) ||
      std::cmp_not_equal(logits_.shape(1), n_vocab_)) {
    throw std::runtime_error("decoder: append() must return float32 [" + std::to_string(n_wanted) +
                             ", " + std::to_string(n_vocab_) + "]");
  }
  const std::span<const float> logits(logits_.data(), logits_.size());
  if (!std::ranges::all_of(logits, [](float x) { return std::isfinite(x); })) {
    throw std::runtime_error(
        "decoder: the logits are not finite; the input or the weights are out of range. Reset the "
        "stream");
  }
  failed_ = false;
  return logits;
}

std::span<const float> PythonDecoder::step(std::span<const RegionRows> groups, LogitsOf wanted) {
  const int64_t n_rows = checked_rows(groups);
  check_ready();
  const std::span<const float> logits = append(groups, n_rows, wanted);
  pos_ += n_rows;
  return logits;
}

std::span<const float> PythonDecoder::propose(std::span<const RegionRows> groups) {
  const int64_t n_added = checked_rows(groups);
  check_sound();
  if (n_proposed_ + n_added > max_proposal_) {
    throw std::invalid_argument("decoder: a proposal of " + std::to_string(n_proposed_ + n_added) +
                                " rows, this decoder takes up to " + std::to_string(max_proposal_) +
                                " (max_rows)");
  }
  const std::span<const float> logits = append(groups, n_added, LogitsOf::kEveryRow);
  n_proposed_ += n_added;
  return logits;
}

void PythonDecoder::keep(int n_rows) {
  if (n_rows < 0 || n_rows > n_proposed_ || n_proposed_ == 0) {
    throw std::invalid_argument("decoder: cannot keep " + std::to_string(n_rows) +
                                " rows of an open proposal of " + std::to_string(n_proposed_));
  }
  const nb::gil_scoped_acquire gil;
  if (n_rows < n_proposed_) nb_trampoline.base().attr("take_back")(n_proposed_ - n_rows);
  pos_ += n_rows;
  n_proposed_ = 0;
}

std::span<const float> PythonDecoder::attention_before(int region, int n_after) const {
  require_region(region);
  const nb::gil_scoped_acquire gil;
  const nb::handle self = nb_trampoline.base();
  if (!nb::hasattr(self, "attended")) return {};
  if (!nb::try_cast(self.attr("attended")(region, n_after), weights_, false) ||
      std::cmp_greater(weights_.size(), pos_ + n_proposed_ - n_after)) {
    throw std::runtime_error("decoder: attended() must return float32 [n] of kept rows");
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

nb::object PythonDecoder::fork_object() const {
  check_ready();
  nb::object other = nb_trampoline.base().attr("copy")();
  Decoder* decoder = nullptr;
  auto* python = nb::try_cast(other, decoder) ? dynamic_cast<PythonDecoder*>(decoder) : nullptr;
  if (python == nullptr) throw std::runtime_error("decoder: copy() must return such a decoder");
  python->pos_ = pos_;
  return other;
}

std::unique_ptr<Decoder> PythonDecoder::fork() const {
  const nb::gil_scoped_acquire gil;
  return std::make_unique<ForkOfPython>(fork_object());
}

void PythonDecoder::reset() {
  const nb::gil_scoped_acquire gil;
  nb_trampoline.base().attr("clear")();
  pos_ = n_proposed_ = 0;
  failed_ = false;
}
