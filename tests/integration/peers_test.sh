#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Assay beside unmodified peers: the matrix of {assay-agent, spire-agent} under {assay-authority,
# spire-server}, each pair by join_token, by tpm_devid on a software TPM (ECC and RSA DevIDs), by
# x509pop (EC and RSA), by http_challenge and by sshpop (Ed25519, ECDSA and RSA), to an X509-SVID that
# openssl verifies; both agents under assay-authority by k8s_psat; then SPIFFE client libraries against assay-agent
# through rotations.
#
#   peers_test.sh BUILD_FOLDER [matrix | psat | clients]
#
# spire-agent and spire-server are found on PATH. ASSAY_SPIFFE_CLIENTS names client programs, by
# spaces: each reads SPIFFE_ENDPOINT_SOCKET, prints a line `... serial=HEX ...` for the X509-SVID at
# first and at each update, and ends after three. ASSAY_JWT_CLIENTS names others, which are called
# with `jwt AUDIENCE`: each fetches a JWT-SVID through its library, has it validated by that and by
# the agent, which must not take it for another audience, and prints `JWT SPIFFE-ID ... valid`. What
# is not there is skipped, and said; status 77 when nothing ran.
set -euo pipefail
build=$(realpath "$1")
what=${2:-all}
cd "$(dirname "$0")/../.."

source tests/integration/pair.sh

ran=0

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

matrix() {
  local server workload_agent key address
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
      for key in p256 p384 rsa; do
        start_upstream "$server"
        attest_by_x509pop "$workload_agent" "$key"
        check_pair "$server" "$workload_agent" "x509pop, $key"
      done
      address=$(own_address)
      if [[ -n "$address" ]]; then
        start_upstream "$server" 'NodeAttestor "http_challenge" { plugin_data {} }'
        attest_by_http_challenge "$workload_agent" "$address"
        check_pair "$server" "$workload_agent" http_challenge
      else
        skip "http_challenge: this machine has no IPv4 address but its loopback's"
      fi
      for key in ed25519 ecdsa rsa; do
        if ! has ssh-keygen; then
          skip "sshpop, $key: ssh-keygen is not on PATH"
          continue
        fi
        start_upstream "$server"
        attest_by_sshpop "$workload_agent" "$key"
        check_pair "$server" "$workload_agent" "sshpop, $key"
      done
    done
  done
}

# A token as a cluster projects it, of a cluster that is played by openssl.
project_token() { # issuer, file
  local header claims now
  encode() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
  openssl genrsa -out "$work/cluster.key" 2048 2>"$work/cluster.log"
  openssl rsa -in "$work/cluster.key" -pubout -out "$work/cluster.pub" 2>>"$work/cluster.log"
  now=$(date +%s)
  header=$(printf '{"alg":"RS256","kid":"k"}' | encode)
  claims=$(printf '%s' "{\"iss\":\"$1\",\"aud\":[\"spire-server\"],\"iat\":$now,\"nbf\":$now,
    \"exp\":$((now + 3600)),\"sub\":\"system:serviceaccount:spire:spire-agent\",
    \"kubernetes.io\":{\"namespace\":\"spire\",\"serviceaccount\":{\"name\":\"spire-agent\",
    \"uid\":\"s\"},\"pod\":{\"name\":\"agent-1\",\"uid\":\"pod-uid\"},
    \"node\":{\"name\":\"worker\",\"uid\":\"node-uid\"}}}" | encode)
  printf '%s.%s.%s' "$header" "$claims" "$(printf '%s.%s' "$header" "$claims" |
    openssl dgst -sha256 -sign "$work/cluster.key" | encode)" >"$2"
}

# SPIRE Server would ask a cluster's API server, which is not there.
psat() {
  local issuer="https://kubernetes.default.svc" workload_agent
  project_token "$issuer" "$work/psat"
  for workload_agent in "$agent" spire-agent; do
    if ! has "$workload_agent"; then
      skip "$workload_agent under assay-authority by k8s_psat: it is not on PATH"
      continue
    fi
    start_upstream "$authority" "NodeAttestor \"k8s_psat\" {
      plugin_data {
        clusters = {
          \"demo\" = {
            service_account_allow_list = [\"spire:spire-agent\"]
            service_account_keys_path = \"$work/cluster.pub\"
            issuer = \"$issuer\"
          }
        }
      }
    }"
    start_agent "$workload_agent" "" "NodeAttestor \"k8s_psat\" {
      plugin_data {
        cluster = \"demo\"
        token_path = \"$work/psat\"
      }
    }"
    check_pair "$authority" "$workload_agent" k8s_psat
  done
}

clients() {
  if [[ -z "${ASSAY_SPIFFE_CLIENTS:-}${ASSAY_JWT_CLIENTS:-}" ]]; then
    skip "client libraries: ASSAY_SPIFFE_CLIENTS and ASSAY_JWT_CLIENTS name none"
    return
  fi
  start_upstream "$authority"
  attest_by_token "$authority" "$agent"
  create_entry "$authority" 15
  await "an X509-SVID" agent fetch
  local client serials
  for client in ${ASSAY_SPIFFE_CLIENTS:-}; do
    SPIFFE_ENDPOINT_SOCKET="unix://$work/api/api.sock" timeout 120 "$client" \
      >"$work/client.out" 2>"$work/client.err" ||
      { cat "$work/client.out" "$work/client.err"; fail "${client##*/} failed"; }
    serials=$(grep -o 'serial=[0-9a-f]*' "$work/client.out" | sort -u | wc -l)
    [[ "$serials" -ge 3 ]] || { cat "$work/client.out"; fail "${client##*/} saw no two rotations"; }
    echo "PASSED: ${client##*/} fetched an X509-SVID and saw two rotations"
    ran=$((ran + 1))
  done
  for client in ${ASSAY_JWT_CLIENTS:-}; do
    SPIFFE_ENDPOINT_SOCKET="unix://$work/api/api.sock" timeout 60 "$client" jwt peers \
      >"$work/client.out" 2>"$work/client.err" &&
      grep -q "^JWT spiffe://$domain/workload .*valid" "$work/client.out" ||
      { cat "$work/client.out" "$work/client.err"; fail "${client##*/} failed"; }
    echo "PASSED: ${client##*/} fetched a JWT-SVID, which it and the agent validated"
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
make_pop_ca
make_pop_node p256 -newkey ec -pkeyopt ec_paramgen_curve:P-256
make_pop_node p384 -newkey ec -pkeyopt ec_paramgen_curve:P-384
make_pop_node rsa -newkey rsa:2048
if has ssh-keygen; then
  make_ssh_ca
  for key in ed25519 ecdsa rsa; do
    make_ssh_host "$key"
  done
fi
case "$what" in
  matrix) matrix ;;
  clients) clients ;;
  psat) psat ;;
  all) matrix && psat && clients ;;
  *) fail "matrix, psat or clients, not $what" ;;
esac
[[ "$ran" -gt 0 ]] || exit 77
