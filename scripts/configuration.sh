#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes docs/configuration.md anew from the tables that the agent reads its configuration by.
set -euo pipefail
cd "$(dirname "$0")/.."

[[ -f build/dev/build.ninja ]] || cmake --preset dev
cmake --build --preset dev --target assay-config-document
build/dev/agent/assay-config-document >docs/configuration.md.new
mv docs/configuration.md.new docs/configuration.md
