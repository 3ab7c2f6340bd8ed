# SPDX-License-Identifier: Apache-2.0
"""Speech whose words are known, and how many of them were heard; how good translations are."""
