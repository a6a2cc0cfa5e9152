#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The agent's metrics as Prometheus reads them: what they count, over TLS to whom they are told, and
# that the alerts and the dashboard of deploy/ name no other.
#
#   metrics_test.sh BUILD_FOLDER
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/../.."
source tests/integration/pair.sh

readonly metrics_port=$((next_port + 1000))
scrape() { # scheme, options of curl
  curl -sf --max-time 5 -o "$work/metrics.txt" "${@:2}" "$1://localhost:$metrics_port/metrics"
}
value() { # metric with its labels but host, in their order: its value
  sed -n "s/^spire_agent_${1//./\\.} //p" <<<"$(sed -E 's/host="[^"]*",?//; s/,\}/}/; s/\{\}//' \
    "$work/metrics.txt")"
}
shows() { # metric, condition of awk on v
  scrape http && [[ -n "$(value "$1")" ]] && awk -v v="$(value "$1")" "BEGIN { exit !($2) }"
}
awaited() { await "$1 with $2" agent shows "$@"; }
begin_agent() { # lines of the Prometheus block
  local token
  token=$(server_command "$authority" token generate -ttl 600 -spiffeID "spiffe://$domain/node" |
    sed -n 's/^Token: //p')
  agent_blocks="telemetry {
    Prometheus {
      port = $metrics_port
      $1
    }
  }" start_agent "$agent" "join_token = \"$token\"
  experimental { rpc_timeout = \"2s\" }" 'NodeAttestor "join_token" { plugin_data {} }'
  server_command "$authority" entry create -parentID "spiffe://$domain/node" \
    -spiffeID "spiffe://$domain/$2" -selector "unix:uid:$(id -u)" >"$work/entry.log"
}

for tool in curl jq openssl; do
  has "$tool" || { skip "$tool is not on PATH"; exit 77; }
done
start_upstream "$authority"
begin_agent "" workload
await "an X509-SVID" agent fetch
awaited ready 'v == 1'
awaited upstream_reachable 'v == 1'
awaited sync_entries_total 'v == 2'
awaited 'lru_cache_svid_map_size{svid_type="X509"}' 'v == 2'
awaited outage_budget_seconds 'v > 600'
awaited last_sync_timestamp_seconds "v > $(date +%s) - 60"
awaited agent_svid_expiry_timestamp_seconds "v > $(date +%s)"
awaited x509_svid_earliest_expiry_timestamp_seconds "v > $(date +%s)"
awaited 'node_attestor_new_svid{attestor="join_token",status="OK"}' 'v == 1'
awaited 'manager_sync_fetch_entries_updates{status="OK"}' 'v >= 1'
awaited 'manager_sync_fetch_svids_updates{status="OK"}' 'v >= 1'
awaited 'rpc_workload_api_fetch_x509svid{status="OK"}' 'v >= 1'
awaited 'workload_api_workload_attestation{status="OK"}' 'v >= 1'
awaited workload_api_connection 'v >= 1'
awaited workload_api_connections 'v == 0'
awaited socket_connections_total 'v >= 1'
awaited 'first_svid_seconds_count' 'v >= 1'
awaited 'agent_key_manager_generate_key{status="OK"}' 'v == 1'
if [[ $EUID -eq 0 ]]; then
  chmod 0711 "$work"
  setpriv --reuid 4242 --clear-groups "$agent" api fetch x509 -socketPath "$work/api/api.sock" \
    >"$work/fetch.log" 2>&1 && fail "a caller without an entry was served"
  awaited 'refusals_total{reason="no_identity"}' 'v >= 1'
fi
readonly socket=(-socketPath "$work/api/api.sock")
"$agent" api fetch jwt "${socket[@]}" -audience a -output json >"$work/jwt.json"
"$agent" api validate jwt "${socket[@]}" -audience a -svid "$(jq -r '.[0].svids[0].svid' \
  "$work/jwt.json")" >"$work/jwt.log"
"$agent" api validate jwt "${socket[@]}" -audience a -svid no-token >"$work/jwt.log" 2>&1 &&
  fail "no token was good"
awaited 'rpc_workload_api_fetch_jwtsvid{status="OK"}' 'v == 1'
awaited 'rpc_workload_api_fetch_jwtsvid_elapsed_time_sum{status="OK"}' 'v > 0'
awaited 'rpc_workload_api_validate_jwtsvid{status="OK"}' 'v == 1'
awaited 'rpc_workload_api_validate_jwtsvid{status="InvalidArgument"}' 'v == 1'
awaited 'manager_mint_jwt_svid{status="OK"}' 'v == 1'
awaited jwt_svid_cache_size 'v == 1'
# An empty request, as gRPC frames it.
printf '\0\0\0\0\0' | curl -s --http2-prior-knowledge --unix-socket "$work/api/api.sock" \
  -H 'content-type: application/grpc' -H 'te: trailers' --data-binary @- -o "$work/sds.bin" \
  http://localhost/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets
awaited 'rpc_sds_v3_fetch_secrets{status="OK"}' 'v == 1'
awaited sds_api_connection 'v == 1'
awaited sds_api_connections 'v == 0'
scrape http
grep -E "^spire_agent_rpc_other" "$work/metrics.txt" && fail "a method that is served has no name"
echo "PASSED: metrics are told"

if has promtool; then
  status=0
  promtool check metrics <"$work/metrics.txt" >"$work/lint.log" 2>&1 || status=$?
  # 3: names that its linter does not like, as spire-agent's.
  [[ "$status" -eq 0 || "$status" -eq 3 ]] || { cat "$work/lint.log"; fail "metrics do not parse"; }
  promtool check rules deploy/prometheus/assay-agent.rules.yaml
  promtool test rules deploy/prometheus/assay-agent.test.yaml
else
  skip "promtool is not on PATH: nobody checks the metrics' form and the alerts"
fi
names=$(grep -oE '\{"[a-z0-9_]+",' agent/metrics.h | tr -d '{",')
for name in $(grep -ohE 'spire_agent_[a-z0-9_]+' deploy/prometheus/*.rules.yaml \
  deploy/grafana/assay-agent.json | sort -u); do
  name=$(sed -E 's/^spire_agent_//; s/_(bucket|count|sum)$//; s/_elapsed_time$//' <<<"$name")
  grep -qx "$name" <<<"$names" || [[ "$name" =~ ^(rpc_.*|(workload|sds)_api_connections)$ ]] ||
    fail "no metric is called $name"
done
for name in $names; do
  grep -qE "(\`|_)${name}(\`|[{_])" docs/telemetry.md || fail "docs/telemetry.md does not tell of $name"
done
echo "PASSED: alerts, dashboard and document name what there is"

server_pid=$(sed -n 1p "$work/pids" | cut -d' ' -f1)
kill -STOP "$server_pid"
awaited upstream_reachable 'v == 0'
awaited ready 'v == 1'
kill -CONT "$server_pid"
awaited upstream_reachable 'v == 1'
echo "PASSED: an upstream that is away is told"

stop_all
start_upstream "$authority"
begin_agent "tls {
  use_spire_svid = true
  authorized_spiffe_ids = [\"spiffe://$domain/prometheus\"]
}" prometheus
await "an X509-SVID" agent fetch
svid=(--insecure --cert "$work/svids/svid.0.pem" --key "$work/svids/svid.0.key")
await "metrics over TLS" agent scrape https "${svid[@]}"
scrape https --insecure && fail "who shows no certificate was answered"
scrape http && fail "TLS was not asked for"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=x \
  -addext "subjectAltName=URI:spiffe://$domain/prometheus" -keyout "$work/x.key" \
  -out "$work/x.pem" 2>"$work/x.log"
scrape https --insecure --cert "$work/x.pem" --key "$work/x.key" &&
  fail "an SVID of nobody's was believed"
openssl s_client -connect "127.0.0.1:$metrics_port" </dev/null 2>/dev/null |
  openssl x509 -noout -ext subjectAltName >"$work/shown.txt"
grep -q "URI:spiffe://$domain/spire/agent/" "$work/shown.txt" || fail "it shows another identity"
echo "PASSED: metrics are told by the agent's SVID to who is authorized"
