#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# assay-agent under an unmodified spire-server, where things do not go as at first: the ways to
# bootstrap, a server that is another one, an agent that is evicted or banned, authorities that are
# rotated by force, connections that the server ends.
#
#   upstream_test.sh BUILD_FOLDER [bootstrap | rebootstrap | refusals | rotation | goaway]
#
# spire-server and spire-agent are found on PATH. ASSAY_ROTATIONS: how many authorities are rotated.
# What is not there is skipped, and said; status 77 when nothing ran.
set -euo pipefail
build=$(realpath "$1")
what=${2:-all}
cd "$(dirname "$0")/../.."

source tests/integration/pair.sh

readonly server=spire-server
# The end of the server's GOAWAY is 3 minutes, a tenth more or less, after the connection's begin.
readonly connection_age=200
ran=0

passed() {
  echo "PASSED: $*"
  ran=$((ran + 1))
}
last_pid() { tail -n 1 "$work/pids" | cut -d' ' -f1; }
logged() { grep -qF -- "$1" "$work/agent.log"; }
awaited() { await "the log's \"$1\"" agent logged "$1"; }
is_running() { kill -0 "$agent_pid" 2>/dev/null; }
has_ended() { ! is_running; }
fetch_verified() {
  fetch && openssl verify -CAfile "$work/svids/bundle.0.pem" "$work/svids/svid.0.pem" >/dev/null
}
# By the bundle that the server has now.
fetch_current() {
  server_command "$server" bundle show >"$work/current.pem" && fetch &&
    openssl verify -CAfile "$work/current.pem" "$work/svids/svid.0.pem" >/dev/null
}
an_agent_is_listed() { server_command "$server" agent list | grep -q "SPIFFE ID"; }
agent_id() { server_command "$server" agent list | awk '/SPIFFE ID/ {print $NF; exit}'; }
agent_serial() { server_command "$server" agent list | awk '/Serial number/ {print $NF; exit}'; }

# Serves $work/served over HTTP on $work/bundles.sock, and writes down what is asked for.
serve_bundles() {
  rm -f "$work/bundles.sock"
  start bundles python3 -u -c '
import http.server, os, socketserver, sys
class Bundles(http.server.BaseHTTPRequestHandler):
    def address_string(self): return "agent"
    def do_GET(self):
        with open(sys.argv[2], "rb") as served: body = served.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
with socketserver.UnixStreamServer(sys.argv[1], Bundles) as server:
    os.chmod(sys.argv[1], 0o666)
    server.serve_forever()
' "$work/bundles.sock" "$work/served"
  await "an HTTP server" bundles test -S "$work/bundles.sock"
}
asked_for() { grep -qF -- "$1" "$work/bundles.log"; }

by_socket() { # format
  printf 'trust_bundle_url = "http://localhost/bundle?node=a"
    trust_bundle_unix_socket = "%s" trust_bundle_format = "%s"' "$work/bundles.sock" "$1"
}

begin() { # lines for the server's block
  start_upstream "$server" "" "${1:-}"
  server_pid=$(last_pid)
}
begin_agent() { # lines for the agent's block
  attest_by_x509pop "$agent" p256 "${1:-}"
  agent_pid=$(last_pid)
}
begin_workload() {
  create_entry "$server" 3600
  await "an X509-SVID" agent fetch_verified
}

bootstrap() {
  local format
  if has python3; then
    for format in pem spiffe; do
      begin
      server_command "$server" bundle show -format "$format" >"$work/served"
      serve_bundles
      bootstrap_by=$(by_socket "$format")
      begin_agent
      asked_for "GET /bundle?node=a&spire-attest-mode=bootstrap&spire-connection-attempts=1" ||
        fail "the source was not told of the attempt"
      asked_for "&spiffe-trust-domain=$domain " || fail "the source was not told the trust domain"
      begin_workload
      passed "bootstrap by trust_bundle_url on a Unix socket, format $format"
      stop_all
    done
  else
    skip "trust_bundle_url on a Unix socket: python3 is not on PATH"
  fi
  if has spire-agent; then
    begin
    bootstrap_by="trust_bundle_path = \"$work/bundle.pem\""
    # The second agent has no identity of the first.
    attest_by_x509pop spire-agent p384 'allow_unauthenticated_verifiers = true'
    await "spire-agent's socket" agent test -S "$work/api/api.sock"
    mv "$work/agent" "$work/first-agent"
    mv "$work/api" "$work/first-api"
    mv "$work/agent.log" "$work/first-agent.log"
    bootstrap_by="trust_bundle_spiffe_workload_api = \"unix://$work/first-api/api.sock\""
    begin_agent
    passed "bootstrap by spire-agent's Workload API"
    stop_all
  else
    skip "bootstrap by another agent's Workload API: spire-agent is not on PATH"
  fi
  begin
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=other" \
    -keyout "$work/other.key" -out "$work/bundle.pem" 2>>"$work/pop.log"
  bootstrap_by="trust_bundle_path = \"$work/bundle.pem\""
  launch_agent "$agent" "" "$(pop_attestor p256)"
  awaited "x509: certificate signed by unknown authority"
  an_agent_is_listed && fail "a node was attested by a server that it does not trust"
  passed "a server that the bootstrap bundle does not name is not trusted"
  stop_all
}

# The server as after the loss of all that it had, on the same port.
replace_server() {
  kill "$server_pid"
  wait "$server_pid" 2>/dev/null || true
  rm -rf "$work/server" "$work/server.sock"
  mkdir -m 0700 "$work/server"
  start server "$server" run -config "$work/server.conf"
  server_pid=$(last_pid)
  await "a healthy $server" server server_command "$server" healthcheck
}

rebootstrap() {
  has python3 || { skip "rebootstrap: python3 is not on PATH"; return; }
  begin
  server_command "$server" bundle show >"$work/served"
  serve_bundles
  bootstrap_by=$(by_socket pem)
  begin_agent 'rebootstrap_mode = "auto" rebootstrap_delay = "3s"
    experimental { sync_interval = "1s" }'
  begin_workload
  cp "$work/svids/bundle.0.pem" "$work/first-bundle.pem"
  replace_server
  awaited "Trust Bundle and Server don't agree, ignoring for now"
  awaited "Trust Bundle and Server don't agree, rebootstrapping"
  await "a second look at the source" agent asked_for "spire-attest-mode=rebootstrap"
  an_agent_is_listed && fail "a node was attested by a server that the source does not name"
  fetch_verified || fail "the agent does not serve while its server is not trusted"
  cmp -s "$work/svids/bundle.0.pem" "$work/first-bundle.pem" || fail "the bundle has changed"
  passed "a server that the source does not name takes nothing away"
  server_command "$server" bundle show >"$work/served"
  await "attestation by the new server" agent an_agent_is_listed
  create_entry "$server" 3600
  await "an X509-SVID of the new server" agent fetch_current
  is_running || fail "the agent has been restarted"
  passed "rebootstrap from a server to the next in one process"
  stop_all
}

refusals() {
  local serial
  bootstrap_by="trust_bundle_path = \"$work/bundle.pem\""
  begin
  begin_agent 'experimental { sync_interval = "1s" }'
  begin_workload
  serial=$(agent_serial)
  server_command "$server" agent evict -spiffeID "$(agent_id)" >/dev/null
  awaited "Agent needs to re-attest"
  await "attestation anew" agent an_agent_is_listed
  [[ "$(agent_serial)" != "$serial" ]] || fail "the agent's SVID is the same"
  await "a sync that went well" agent logged "Synchronized with the upstream again"
  fetch_verified || fail "no X509-SVID after eviction"
  passed "an evicted agent attests anew and goes on"
  server_command "$server" agent ban -spiffeID "$(agent_id)" >/dev/null
  await "the end of the agent" agent has_ended
  logged "Agent is banned: removing SVID and shutting down" || fail "the log does not say why"
  grep -q '"svid": null' "$work/agent/agent-data.json" || fail "the SVID is still on disk"
  passed "a banned agent ends"
  stop_all

  begin
  attest_by_token "$server" "$agent"
  agent_pid=$(last_pid)
  begin_workload
  server_command "$server" agent evict -spiffeID "$(agent_id)" >/dev/null
  await "the end of the agent" agent has_ended
  logged "Agent needs to re-attest: removing SVID and shutting down" ||
    fail "the log does not say why"
  passed "an evicted agent that cannot attest anew ends"
  stop_all
}

authority() { # Active or Prepared: its ID
  server_command "$server" localauthority x509 show |
    awk -v of="$1" '$1 == of {found = 1} found && /Authority ID/ {print $NF; exit}'
}
authority_of_svid() {
  openssl x509 -in "$work/svids/svid.0.pem" -noout -ext authorityKeyIdentifier |
    sed -n '2s/[^0-9A-F]//gp' | tr '[:upper:]' '[:lower:]'
}
svid_is_of() { fetch_verified && [[ "$(authority_of_svid)" == "$1" ]]; }

rotation() {
  local i next old serial
  bootstrap_by="trust_bundle_path = \"$work/bundle.pem\""
  begin
  begin_agent 'experimental { sync_interval = "1s" }'
  begin_workload
  for i in $(seq "${ASSAY_ROTATIONS:-2}"); do
    old=$(authority Active)
    serial=$(agent_serial)
    server_command "$server" localauthority x509 prepare >"$work/rotation.log"
    next=$(authority Prepared)
    server_command "$server" localauthority x509 activate -authorityID "$next" >>"$work/rotation.log"
    # What is issued from now on must be accepted by whoever has fetched before.
    await "the next authority in the bundle" agent has_authorities 2
    server_command "$server" localauthority x509 taint -authorityID "$old" >>"$work/rotation.log"
    await "an X509-SVID of the next authority" agent svid_is_of "$next"
    await "an agent's SVID of the next authority" agent has_other_serial "$serial"
    server_command "$server" localauthority x509 revoke -authorityID "$old" >>"$work/rotation.log"
    await "the bundle without the old authority" agent has_authorities 1
    fetch_current || fail "the X509-SVID does not verify by the server's bundle"
  done
  logged "X509-SVID has expired" && fail "an SVID was let expire"
  is_running || fail "the agent has ended"
  passed "$i forced rotations of the X.509 authority"
  stop_all
}
has_other_serial() { [[ "$(agent_serial)" != "$1" ]]; }
has_authorities() {
  fetch_verified && [[ "$(grep -c BEGIN "$work/svids/bundle.0.pem")" -eq "$1" ]]
}

connection_of_agent() { ss -Htn state established "dport = :$port" | awk '{print $3}' | sort; }

has_one_connection() { [[ "$(connection_of_agent | wc -l)" -eq 1 ]]; }
fetched_later() { fetch && grep -qF "$domain/later" "$work/fetch.log"; }

goaway() {
  local first logged
  has ss || { skip "GOAWAY: ss is not on PATH"; return; }
  bootstrap_by="trust_bundle_path = \"$work/bundle.pem\""
  begin
  begin_agent 'experimental { sync_interval = "1s" }'
  begin_workload
  # That of the attestation has ended.
  await "one connection" agent has_one_connection
  first=$(connection_of_agent)
  logged=$(wc -l <"$work/agent.log")
  for _ in $(seq "$connection_age"); do
    sleep 1
    [[ "$(connection_of_agent)" == "$first" ]] || break
  done
  [[ "$(connection_of_agent)" != "$first" ]] || fail "the server has not ended the connection"
  server_command "$server" entry create -parentID "$(agent_id)" -spiffeID "spiffe://$domain/later" \
    -selector "unix:uid:$(id -u)" >"$work/entry.log"
  await "an X509-SVID that was signed over the next connection" agent fetched_later
  # What callers were refused before the entry was known is counted later.
  tail -n "+$((logged + 1))" "$work/agent.log" | grep -E 'level=(warning|error)' |
    grep -v "Refused calls were not logged" && fail "a call has failed"
  passed "the server's GOAWAY fails no call"
  stop_all
}

for tool in openssl "$server"; do
  has "$tool" || { skip "$tool is not on PATH"; exit 77; }
done
make_pop_ca
make_pop_node p256 -newkey ec -pkeyopt ec_paramgen_curve:P-256
make_pop_node p384 -newkey ec -pkeyopt ec_paramgen_curve:P-384
readonly parts="bootstrap rebootstrap refusals rotation goaway"
case " all $parts " in
  *" $what "*) ;;
  *) fail "one of $parts, not $what" ;;
esac
for part in $parts; do
  [[ "$what" == all || "$what" == "$part" ]] || continue
  "$part"
done
[[ "$ran" -gt 0 ]] || exit 77
