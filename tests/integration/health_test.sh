#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The agent's health over HTTP and gRPC: before it is attested, while it serves, while its upstream
# is away, once what it served has expired, and again when the upstream is back.
#
#   health_test.sh BUILD_FOLDER
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/../.."
source tests/integration/pair.sh

readonly health_port=$((next_port + 1000))
ask() { curl -s -o "$work/answer.json" -w '%{http_code}' --max-time 5 "http://127.0.0.1:$health_port$1"; }
answers() { # path, code, filter of jq that is to hold
  [[ "$(ask "$1")" == "$2" ]] && jq -e "$3" "$work/answer.json" >/dev/null
}
expect() { answers "$@" || fail "$1 answers $(cat "$work/answer.json")"; }
awaited() { await "$1 with $2 and $3" agent answers "$@"; }
is_healthy() { "$agent" healthcheck -socketPath "$work/api/api.sock" >"$work/check.log" 2>&1; }
is_unhealthy() { ! is_healthy && grep -q "Agent is unhealthy" "$work/check.log"; }

for tool in curl jq openssl; do
  has "$tool" || { skip "$tool is not on PATH"; exit 77; }
done

start_upstream "$authority"
server_pid=$(tail -n 1 "$work/pids" | cut -d' ' -f1)
token=$(server_command "$authority" token generate -ttl 600 | sed -n 's/^Token: //p')
kill -STOP "$server_pid"
agent_blocks="health_checks {
  listener_enabled = true
  bind_port = \"$health_port\"
}" launch_agent "$agent" "join_token = \"$token\"
  experimental { rpc_timeout = \"2s\" }" 'NodeAttestor "join_token" { plugin_data {} }'
awaited /live 200 '.agent == {}'
expect /ready 500 '.agent.reasons == ["the node is not attested yet"]'
kill -CONT "$server_pid"
awaited /ready 200 '.agent.reasons == null and .agent.last_sync_age_seconds < 60'
await "the health of the socket" agent is_healthy
[[ "$(ask /other)" == 404 ]] || fail "another path was answered"
[[ "$(curl -s -o /dev/null -w '%{http_code}' -d x "http://127.0.0.1:$health_port/live")" == 405 ]] ||
  fail "a POST was answered"
echo "PASSED: an agent is ready once it serves"

create_entry "$authority" 12
await "an X509-SVID" agent fetch
expect /ready 200 '.agent.x509_svids == 1 and .agent.outage_budget_seconds <= 12 and
  (.agent.earliest_expiry | fromdate) > now'
kill -STOP "$server_pid"
awaited /ready 500 '.agent.reasons | length > 0 and (.[0] | startswith("1 X509-SVIDs have expired"))'
expect /ready 500 '.agent.outage_budget_seconds == 0 and .agent.x509_svids == 0'
expect /live 200 '.agent == {}'
await "a socket that is not healthy" agent is_unhealthy
echo "PASSED: what has expired is told, and no reason to be killed"

kill -CONT "$server_pid"
awaited /ready 200 '.agent.x509_svids == 1 and .agent.sync_error == null'
await "the health of the socket" agent is_healthy
echo "PASSED: an upstream that is back mends it"

serve_pid=$(pgrep -P "$(tail -n 1 "$work/pids" | cut -d' ' -f1)" -f "role serve")
kill -STOP "$serve_pid"
expect /ready 500 '.agent.reasons[0] | startswith("the serve role has not answered")'
expect /live 200 '.agent == {}'
kill -CONT "$serve_pid"
awaited /ready 200 '.agent.reasons == null'
echo "PASSED: a serve role that does not answer is told"
