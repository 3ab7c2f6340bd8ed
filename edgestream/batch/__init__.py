# SPDX-License-Identifier: Apache-2.0
"""Many recordings: which there are, where their captions go, and the processes that write them."""
