#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Assay beside unmodified peers: the matrix of {assay-agent, spire-agent} under {assay-authority,
# spire-server}, each pair by join_token and by tpm_devid on a software TPM (ECC and RSA DevIDs), to
# an X509-SVID that openssl verifies; then SPIFFE client libraries against assay-agent through
# rotations.
#
#   peers_test.sh BUILD_FOLDER [matrix | clients]
#
# spire-agent and spire-server are found on PATH. ASSAY_SPIFFE_CLIENTS names client programs, by
# spaces: each reads SPIFFE_ENDPOINT_SOCKET, prints a line `... serial=HEX ...` for the X509-SVID at
# first and at each update, and ends after three. What is not there is skipped, and said; status 77
# when nothing ran.
set -euo pipefail
build=$(realpath "$1")
what=${2:-all}
cd "$(dirname "$0")/../.."

readonly agent=$build/agent/assay-agent
readonly authority=$build/authority/assay-authority
readonly domain=peers.test
work=$(mktemp -d /tmp/assay-peers.XXXXXX)
chmod 0755 "$work"
source scripts/processes.sh
source scripts/software-tpm.sh
clean_up() {
  stop_all
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

ran=0
next_port=$((21000 + $$ % 9000))

has() { command -v "$1" >/dev/null; }
skip() { echo "SKIPPED: $*"; }

server_command() { # upstream's program: the command line that speaks to it
  local program=$1
  shift
  "$program" "$@" -socketPath "$work/server.sock"
}

start_upstream() { # program
  rm -rf "$work/server" "$work/server.sock"
  mkdir -m 0700 "$work/server"
  port=$((next_port++))
  cat >"$work/server.conf" <<CONF
server {
  trust_domain = "$domain"
  bind_address = "127.0.0.1"
  bind_port = "$port"
  socket_path = "$work/server.sock"
  data_dir = "$work/server"
}
plugins {
  DataStore "sql" {
    plugin_data {
      database_type = "sqlite3"
      connection_string = "$work/server/datastore.sqlite3"
    }
  }
  KeyManager "disk" { plugin_data { keys_path = "$work/server/keys.json" } }
  NodeAttestor "join_token" { plugin_data {} }
  NodeAttestor "tpm_devid" {
    plugin_data {
      devid_ca_path = "$work/devid-ca.pem"
      endorsement_ca_path = "$work/tpm/ca/issuercert.pem"
    }
  }
}
CONF
  start server "$1" run -config "$work/server.conf"
  await "a healthy ${1##*/}" server server_command "$1" healthcheck
  server_command "$1" bundle show >"$work/bundle.pem"
}

start_agent() { # program, the lines of the agent's block, the NodeAttestor block
  rm -rf "$work/agent" "$work/api"
  mkdir -m 0700 "$work/agent"
  mkdir -m 0755 "$work/api"
  cat >"$work/agent.conf" <<CONF
agent {
  trust_domain = "$domain"
  server_address = "127.0.0.1"
  server_port = "$port"
  trust_bundle_path = "$work/bundle.pem"
  data_dir = "$work/agent"
  socket_path = "$work/api/api.sock"
  $2
}
plugins {
  $3
  KeyManager "disk" { plugin_data { directory = "$work/agent" } }
  WorkloadAttestor "unix" { plugin_data {} }
}
CONF
  start agent "$1" run -config "$work/agent.conf"
  await "node attestation of ${1##*/}" agent \
    grep -q "Node attestation was successful" "$work/agent.log"
}

attest_by_token() { # server program, agent program
  local token
  token=$(server_command "$1" token generate -ttl 600 | sed -n 's/^Token: //p')
  start_agent "$2" "join_token = \"$token\"" 'NodeAttestor "join_token" { plugin_data {} }'
}

attest_by_devid() { # agent program, folder of the DevID
  start_agent "$1" "" "NodeAttestor \"tpm_devid\" {
    plugin_data {
      tpm_device_path = \"$work/tpm/sock\"
      devid_cert_path = \"$2/devid.crt.pem\"
      devid_priv_path = \"$2/devid.priv.blob\"
      devid_pub_path = \"$2/devid.pub.blob\"
    }
  }"
}

make_devid() { # key type
  local folder=$work/devid-$1
  "$agent" tpm provision -device "$work/tpm/sock" -dir "$folder" -subject "node $1" -keyType "$1" \
    >"$work/provision.log"
  sign_devid "$work/devid-ca" "$folder/devid.csr.pem" "$work/devid-$1.pem"
  "$agent" tpm provision -dir "$folder" -certificate "$work/devid-$1.pem" >>"$work/provision.log"
}

create_entry() { # server program, TTL in seconds
  local parent
  parent=$(server_command "$1" agent list | awk '/SPIFFE ID/ {print $NF; exit}')
  server_command "$1" entry create -parentID "$parent" -spiffeID "spiffe://$domain/workload" \
    -selector "unix:uid:$(id -u)" -x509SVIDTTL "$2" >"$work/entry.log"
}

# Asked of assay-agent's command line whoever serves, so that each agent meets a foreign client.
fetch() {
  rm -rf "$work/svids" && mkdir "$work/svids"
  "$agent" api fetch x509 -socketPath "$work/api/api.sock" -write "$work/svids" \
    >"$work/fetch.log" 2>&1 && [[ -f "$work/svids/svid.0.pem" ]]
}

check_pair() { # server program, agent program, words for the attestor
  create_entry "$1" 3600
  await "an X509-SVID" agent fetch
  openssl verify -CAfile "$work/svids/bundle.0.pem" "$work/svids/svid.0.pem" >/dev/null ||
    fail "openssl does not verify the X509-SVID of ${2##*/} under ${1##*/}"
  openssl x509 -in "$work/svids/svid.0.pem" -noout -ext subjectAltName |
    grep -q "URI:spiffe://$domain/workload" || fail "the X509-SVID has another SPIFFE ID"
  "$agent" healthcheck -socketPath "$work/api/api.sock" >/dev/null ||
    fail "${2##*/} does not say that it is healthy"
  echo "PASSED: ${2##*/} under ${1##*/} by $3"
  ran=$((ran + 1))
  stop_pair
}

# Ends server and agent, and keeps the software TPM.
stop_pair() {
  local keep
  keep=$(head -n 1 "$work/pids")
  sed -i 1d "$work/pids"
  stop_all
  echo "$keep" >"$work/pids"
}

matrix() {
  for server in "$authority" spire-server; do
    for workload_agent in "$agent" spire-agent; do
      if ! has "$server" || ! has "$workload_agent"; then
        skip "${workload_agent##*/} under ${server##*/}: not both on PATH"
        continue
      fi
      start_upstream "$server"
      attest_by_token "$server" "$workload_agent"
      check_pair "$server" "$workload_agent" join_token
      for key in ec-p256 rsa-2048; do
        start_upstream "$server"
        attest_by_devid "$workload_agent" "$work/devid-$key"
        check_pair "$server" "$workload_agent" "tpm_devid, $key"
      done
    done
  done
}

clients() {
  if [[ -z "${ASSAY_SPIFFE_CLIENTS:-}" ]]; then
    skip "client libraries: ASSAY_SPIFFE_CLIENTS names none"
    return
  fi
  start_upstream "$authority"
  attest_by_token "$authority" "$agent"
  create_entry "$authority" 15
  await "an X509-SVID" agent fetch
  local client serials
  for client in $ASSAY_SPIFFE_CLIENTS; do
    SPIFFE_ENDPOINT_SOCKET="unix://$work/api/api.sock" timeout 120 "$client" \
      >"$work/client.out" 2>"$work/client.err" ||
      { cat "$work/client.out" "$work/client.err"; fail "${client##*/} failed"; }
    serials=$(grep -o 'serial=[0-9a-f]*' "$work/client.out" | sort -u | wc -l)
    [[ "$serials" -ge 3 ]] || { cat "$work/client.out"; fail "${client##*/} saw no two rotations"; }
    echo "PASSED: ${client##*/} fetched an X509-SVID and saw two rotations"
    ran=$((ran + 1))
  done
  stop_pair
}

for tool in openssl swtpm swtpm_setup; do
  has "$tool" || { skip "$tool is not on PATH"; exit 77; }
done
make_devid_ca "$work/devid-ca"
start_software_tpm "$work/tpm"
make_devid ec-p256
make_devid rsa-2048
case "$what" in
  matrix) matrix ;;
  clients) clients ;;
  all) matrix && clients ;;
  *) fail "matrix or clients, not $what" ;;
esac
[[ "$ran" -gt 0 ]] || exit 77
