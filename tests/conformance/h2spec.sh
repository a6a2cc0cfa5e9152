#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs h2spec, when it is on PATH, against SERVER (h2spec_server). Fails when a case fails that
# docs/h2spec.md does not explain. Usage: h2spec.sh SERVER
set -u
command -v h2spec >/dev/null || { echo "SKIPPED: h2spec is not on PATH"; exit 77; }
. "$(dirname "$0")/serve.sh"
h2spec generic hpack http2 -h 127.0.0.1 -p "$port" >"$folder/answer"
cat "$folder/answer"
grep -q '^[0-9]* tests, [1-9][0-9]* passed' "$folder/answer" || exit 1
unexplained=$(sed -n '/^Failures/,$p' "$folder/answer" | grep '×' |
  grep -v 'Sends PRIORITY frame that depend on itself')
[ -z "$unexplained" ] || { echo "not explained: $unexplained"; exit 1; }
