#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Installs what is missing, builds with AddressSanitizer and UBSan, and runs every test.
#
#   scripts/test.sh [ctest arguments, such as -L unit or -R Tpm]
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install-deps.sh --test
cmake --preset dev
cmake --build --preset dev --parallel "$(nproc)"

echo "checking the format of the sources"
git ls-files '*.h' '*.cc' | xargs clang-format-14 --dry-run --Werror

ctest --preset dev --output-on-failure "$@"
