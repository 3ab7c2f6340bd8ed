# SPDX-License-Identifier: Apache-2.0
from edgestream.start import main

main()
