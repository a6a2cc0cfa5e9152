#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# 900 proxies hold SDS streams on an agent while their X509-SVID is rotated every seven seconds or
# so: prints what memory the agent has. Fails when a stream ends, or is sent less than it asked for.
# With spire-agent on PATH the same with that.
#
#   tests/bench/sds.sh [build folder, default build/release] [seconds, default 600] [streams]
set -euo pipefail
build=$(realpath "${1:-build/release}")
seconds=${2:-600}
streams=${3:-900}
cd "$(dirname "$0")/../.."
source tests/integration/pair.sh
ulimit -n "$(ulimit -Hn)"

readonly lifetime=15 # Seconds of an X509-SVID.

measure() { # agent program
  start_upstream "$authority"
  attest_by_token "$authority" "$1"
  local pid parent
  pid=$(tail -n 1 "$work/pids" | cut -d' ' -f1)
  parent=$(server_command "$authority" agent list | awk '/SPIFFE ID/ {print $NF; exit}')
  server_command "$authority" entry create -parentID "$parent" -spiffeID "spiffe://$domain/proxy" \
    -selector "unix:uid:$(id -u)" -x509SVIDTTL "$lifetime" >"$work/entry.log"
  await "an X509-SVID" agent fetch
  "$build/tests/bench/sds-bench" -socket "$work/api/api.sock" -pid "$pid" -streams "$streams" \
    -seconds "$seconds" -every $((seconds < 10 ? seconds : seconds / 10)) | sed -u "s/^/${1##*/}: /"
  stop_all
}

measure_both
