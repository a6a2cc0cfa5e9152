#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Kills one role after the other with SIGKILL while callers fetch, and says how long no caller had an
# answer. Held streams of other roles' making go on; no caller is told that it has no identity.
#
#   role_death_test.sh BUILD_FOLDER
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/../.."
source tests/integration/pair.sh
readonly bench=$build/tests/bench/assay-bench

role() { pgrep -P "$agent_pid" -f "role $1"; }

# The role runs under another number than before, and an identity is served.
is_back() { [[ -n "$(role "$1")" && "$(role "$1")" != "$2" ]] && fetch; }

field() { grep -o "\"$1\": [0-9.]*" "$work/load.json" | cut -d' ' -f2; }

kill_under_load() { # role
  local before
  before=$(role "$1")
  "$bench" fetch -socket "$work/api/api.sock" -pid "$agent_pid" -callers 8 -seconds 4 \
    >"$work/load.json" &
  local load=$!
  await "load" agent fetch
  kill -KILL "$before"
  await "another $1" agent is_back "$1" "$before"
  wait "$load" || { cat "$work/load.json"; fail "the load ended early"; }
  # Unavailable (14) and broken connections may be tried again; anything else is a wrong answer.
  if grep -A9 errors_by_status "$work/load.json" | grep -E '"([0-9]|1[0-3]|1[56])": '; then
    fail "callers were told something else than to try again when $1 died"
  fi
  echo "PASSED: $1 died under load; $(field calls) answers, longest time without one" \
    "$(field longest_gap_ms) ms"
}

has openssl || { skip "openssl is not on PATH"; exit 77; }
start_upstream "$authority"
attest_by_token "$authority" "$agent"
agent_pid=$(tail -n 1 "$work/pids" | cut -d' ' -f1)
create_entry "$authority" 15
await "an X509-SVID" agent fetch
start watch "$agent" api watch -socketPath "$work/api/api.sock"
await "a held stream" watch grep -q "Received 1 svid" "$work/watch.log"

for name in probe identity; do
  kill_under_load "$name"
  updates=$(grep -c "Received 1 svid" "$work/watch.log")
  await "an update on the stream held while $name died" agent \
    bash -c "[[ \$(grep -c 'Received 1 svid' '$work/watch.log') -gt $updates ]]"
done
kill_under_load serve
