# SPDX-License-Identifier: Apache-2.0
"""Vision-language models: a picture encoder before a language model."""
