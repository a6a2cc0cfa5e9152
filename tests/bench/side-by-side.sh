#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# spire-agent and assay-agent under one spire-server, the same entries, the same load, one after the
# other in one run. Needs spire-agent and spire-server on PATH and root (callers of several uids);
# prints one JSON object a measurement, prefixed by the agent's name.
#
#   tests/bench/side-by-side.sh [build folder, default build/release] [streams, default 9000]
set -euo pipefail
cd "$(dirname "$0")/../.."

build=${1:-build/release}
streams=${2:-9000}
for tool in spire-agent spire-server; do
  command -v "$tool" >/dev/null || { echo "SKIPPED: $tool is not on PATH" >&2; exit 0; }
done
[[ $EUID -eq 0 ]] || { echo "SKIPPED: needs root for callers of several uids" >&2; exit 0; }
ulimit -n "$(ulimit -Hn)"

bench=$build/tests/bench/assay-bench
work=$(mktemp -d /tmp/assay-bench.XXXXXX)
chmod 755 "$work"
port=$((20000 + RANDOM % 10000))
pids=()
clean_up() { kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"; }
trap clean_up EXIT

cat >"$work/server.conf" <<END
server {
  bind_address = "127.0.0.1"
  bind_port = "$port"
  trust_domain = "bench.test"
  data_dir = "$work/server"
  socket_path = "$work/server.sock"
  ratelimit { attestation = false signing = false }
  experimental { cache_reload_interval = "1s" }
}
plugins {
  DataStore "sql" {
    plugin_data { database_type = "sqlite3" connection_string = "$work/server.sqlite3" }
  }
  KeyManager "memory" { plugin_data {} }
  NodeAttestor "join_token" { plugin_data {} }
}
END
server() { spire-server "$@" -socketPath "$work/server.sock"; }
spire-server run -config "$work/server.conf" >"$work/server.log" 2>&1 &
pids+=($!)
until server healthcheck >/dev/null 2>&1; do sleep 0.2; done
server bundle show >"$work/bundle.pem"

await() { for _ in $(seq 600); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; return 1; }

start_agent() { # name, binary
  local name=$1 binary=$2 token
  token=$(server token generate -ttl 600 -output json | grep -o '"value":"[^"]*"' | cut -d'"' -f4)
  cat >"$work/$name.conf" <<END
agent {
  data_dir = "$work/$name"
  server_address = "127.0.0.1"
  server_port = "$port"
  socket_path = "$work/$name.sock"
  trust_bundle_path = "$work/bundle.pem"
  trust_domain = "bench.test"
  join_token = "$token"
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data {} }
}
END
  mkdir -p "$work/$name"
  "$binary" run -config "$work/$name.conf" >"$work/$name.log" 2>&1 &
  agent_pid=$!
  pids+=("$agent_pid")
  parent="spiffe://bench.test/spire/agent/join_token/$token"
  await grep -q "Node attestation was successful" "$work/$name.log" ||
    { tail "$work/$name.log" >&2; exit 1; }
}

entries() { # count: one for root, the rest for uids nobody has
  awk -v parent="$parent" -v count="$1" 'BEGIN {
    printf "{\"entries\":["
    for (i = 0; i < count; i++) {
      uid = i == 0 ? 0 : 1000000 + i
      printf "%s{\"parent_id\":\"%s\",\"spiffe_id\":\"spiffe://bench.test/w/%d\"", i ? "," : "", parent, i
      printf ",\"selectors\":[{\"type\":\"unix\",\"value\":\"uid:%d\"}]", uid
      printf "}"
    }
    printf "]}"
  }'
}

report() { sed "s/^/$1: /"; }

measure() { # name, binary
  local name=$1 socket=$work/$1.sock
  start_agent "$1" "$2"
  entries 10 >"$work/entries.json"
  server entry create -data "$work/entries.json" >/dev/null
  for uid in $(seq 40001 40020); do
    server entry create -parentID "$parent" -spiffeID "spiffe://bench.test/late/$uid" \
      -selector "unix:uid:$uid" -disableX509SVIDPrefetch >/dev/null
  done
  jq -n --arg parent "$parent" '{entries: [range(100) | {parent_id: $parent,
    spiffe_id: "spiffe://bench.test/of-many/\(.)", selectors: [{type: "unix", value: "uid:40100"}]}]}' \
    >"$work/many.json"
  server entry create -data "$work/many.json" >/dev/null
  await "$bench" fetch -socket "$socket" -pid "$agent_pid" -calls 1 -seconds 2
  await bash -c "'$bench' fetch -socket '$socket' -pid $agent_pid -calls 1 | grep -q '\"errors\": 0'"
  sleep 5
  "$bench" idle -pid "$agent_pid" -seconds 10 | report "$name"
  for callers in 1 8 64; do
    "$bench" fetch -socket "$socket" -pid "$agent_pid" -callers "$callers" -seconds 5 | report "$name"
    "$bench" refetch -socket "$socket" -pid "$agent_pid" -callers "$callers" -seconds 5 |
      report "$name"
  done
  setpriv --reuid 40100 --clear-groups "$bench" fetch -socket "$socket" -pid "$agent_pid" -seconds 5 |
    sed 's/"fetch"/"fetch, 100 SVIDs"/' | report "$name"
  for mode in jwt validate validate-fresh; do
    "$bench" "$mode" -socket "$socket" -pid "$agent_pid" -callers 8 -seconds 5 | report "$name"
  done
  for uid in $(seq 40001 40020); do
    setpriv --reuid "$uid" --clear-groups "$bench" fetch -socket "$socket" -pid "$agent_pid" \
      -callers 1 -calls 1 | grep p50_ms
  done | sort -t: -k2 -n | awk '{gsub(",", ""); v[NR] = $2}
    END {printf "{ \"mode\": \"first SVID of an unsigned entry\", \"p50_ms\": %s, \"max_ms\": %s }\n",
         v[int((NR + 1) / 2)], v[NR]}' | report "$name"
  # One more identity for all who hold a stream.
  (sleep 30 && server entry create -parentID "$parent" -spiffeID "spiffe://bench.test/more" \
    -selector unix:uid:0 >/dev/null) &
  "$bench" hold -socket "$socket" -pid "$agent_pid" -streams "$streams" -seconds 90 | report "$name"
  kill "$agent_pid" && wait "$agent_pid" 2>/dev/null || true
}

measure spire-agent "$(command -v spire-agent)"
measure assay-agent "$build/agent/assay-agent"
