#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Registers 100,000 workloads of one node and prints what its agent needs for them: the time until the
# last is served, CPU of that, memory and CPU at rest, what one changed entry costs beyond that, and how
# long callers wait for an X509-SVID, 100 a second on new connections.
# With spire-agent on PATH, of that one too.
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

cpu_ms() { # process: what it and all below it have used so far
  local level=$1 pids=$1 pid
  while level=$(pgrep -d, -P "$level"); do
    pids+=,$level
  done
  for pid in ${pids//,/ }; do
    cat "/proc/$pid/task/"*/schedstat
  done | awk '{sum += $1} END {printf "%d", sum / 1e6}'
}

# Milliseconds of CPU in the time of ten changes, with and without them.
readonly changes=10 pause=6
cost_of_ten() { # process, entry to change or nothing
  local before i
  before=$(cpu_ms "$1")
  for ((i = 1; i <= changes; i++)); do
    [[ -z "${2:-}" ]] || server_command "$authority" entry update -entryID "$2" -parentID "$parent" \
      -spiffeID "spiffe://$domain/w/1" -selector "unix:uid:1000001" -x509SVIDTTL "$((3000 + i))" \
      >/dev/null
    sleep "$pause"
  done
  echo $(($(cpu_ms "$1") - before))
}

measure() { # agent program
  start_upstream "$authority"
  attest_by_token "$authority" "$1"
  local pid parent
  pid=$(tail -n 1 "$work/pids" | cut -d' ' -f1)
  parent=$(server_command "$authority" agent list | awk '/SPIFFE ID/ {print $NF; exit}')
  entries "$parent" >"$work/entries.json"
  local start=$SECONDS before changed at_rest
  before=$(cpu_ms "$pid")
  server_command "$authority" entry create -data "$work/entries.json" >/dev/null
  echo "${1##*/}: $count entries registered in $((SECONDS - start)) s"
  start=$SECONDS
  until fetch; do
    sleep 0.2
    [[ $((SECONDS - start)) -lt 300 ]] || fail "the last entry was not served within 300 s"
  done
  echo "${1##*/}: all known $((SECONDS - start)) s after that, $(($(cpu_ms "$pid") - before)) ms of CPU"
  sleep 20
  "$bench" idle -pid "$pid" -seconds 30 | sed "s/^/${1##*/}: /"
  "$bench" fetch -socket "$work/api/api.sock" -pid "$pid" -rate 100 -seconds 30 |
    sed "s/^/${1##*/}: /"
  changed=$(server_command "$authority" entry show -spiffeID "spiffe://$domain/w/1" |
    awk '/^Entry ID/ {print $NF}')
  at_rest=$(cost_of_ten "$pid")
  echo "${1##*/}: $((($(cost_of_ten "$pid" "$changed") - at_rest) / changes)) ms of CPU for a change"
  stop_all
}

measure_both
