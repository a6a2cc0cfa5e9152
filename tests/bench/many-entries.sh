#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Registers 100,000 workloads of one node and prints what its agent needs for them: the time until the
# last is served, CPU of that, and memory and CPU at rest. With spire-agent on PATH, of that one too.
#
#   tests/bench/many-entries.sh [build folder, default build/release] [entries, default 100000]
set -euo pipefail
build=$(realpath "${1:-build/release}")
count=${2:-100000}
cd "$(dirname "$0")/../.."
source tests/integration/pair.sh
readonly bench=$build/tests/bench/assay-bench

entries() { # parent: uids that nobody has, and at the end this user's
  awk -v parent="$1" -v count="$count" -v own="$(id -u)" 'BEGIN {
    printf "{\"entries\":["
    for (i = 1; i <= count; i++) {
      printf "%s{\"parent_id\":\"%s\",\"spiffe_id\":\"spiffe://peers.test/w/%d\"", (i > 1 ? "," : ""), parent, i
      printf ",\"selectors\":[{\"type\":\"unix\",\"value\":\"uid:%d\"}]}", (i < count ? 1000000 + i : own)
    }
    printf "]}"
  }'
}

measure() { # agent program
  start_upstream "$authority"
  attest_by_token "$authority" "$1"
  local pid parent
  pid=$(tail -n 1 "$work/pids" | cut -d' ' -f1)
  parent=$(server_command "$authority" agent list | awk '/SPIFFE ID/ {print $NF; exit}')
  entries "$parent" >"$work/entries.json"
  local start=$SECONDS
  server_command "$authority" entry create -data "$work/entries.json" >/dev/null
  echo "${1##*/}: $count entries registered in $((SECONDS - start)) s"
  start=$SECONDS
  until fetch; do
    sleep 0.2
    [[ $((SECONDS - start)) -lt 300 ]] || fail "the last entry was not served within 300 s"
  done
  echo "${1##*/}: all known $((SECONDS - start)) s after that"
  sleep 20
  "$bench" idle -pid "$pid" -seconds 30 | sed "s/^/${1##*/}: /"
  stop_all
}

measure "$agent"
if has spire-agent; then
  measure spire-agent
else
  skip "spire-agent is not on PATH"
fi
