#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Holds every include of the tree to docs/layers.txt, wolfSSL to crypto/, and tpm2-tss to tpm/.
set -euo pipefail
cd "$(dirname "$0")/.."

awk '
  function room(path,   parts, n) {
    n = split(path, parts, "/")
    if (path ~ /^base\/sandbox\//) return "base/sandbox"
    if (path ~ /\.pb\.h$/) return "proto"
    return n > 1 ? parts[1] : ""
  }
  FILENAME == "docs/layers.txt" {
    if ($0 ~ /^#/ || NF == 0) next
    from = $1; sub(/:$/, "", from); known[from] = 1; allowed[from, from] = 1
    for (i = 2; i <= NF; i++) allowed[from, $i] = 1
    next
  }
  /^#include "/ {
    split($0, quoted, "\""); to = room(quoted[2]); from = room(FILENAME)
    if (!(from in known) || to == "") next
    if (FILENAME ~ /_test\.cc$/ && quoted[2] ~ /^tests\/support\//) next
    if (!((from, to) in allowed)) {
      printf "%s:%d: %s may not include %s\n", FILENAME, FNR, from, quoted[2]; bad = 1
    }
  }
  /^#include <wolfssl\// && room(FILENAME) != "crypto" {
    printf "%s:%d: only crypto/ includes wolfSSL\n", FILENAME, FNR; bad = 1
  }
  /^#include <tss2\// && room(FILENAME) != "tpm" {
    printf "%s:%d: only tpm/ includes tpm2-tss\n", FILENAME, FNR; bad = 1
  }
  END { exit bad }
' docs/layers.txt $(git ls-files --cached --others --exclude-standard '*.h' '*.cc')
echo "the includes keep to docs/layers.txt"
