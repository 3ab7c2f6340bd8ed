# SPDX-License-Identifier: Apache-2.0
from edgestream.cli.start import main

main()
