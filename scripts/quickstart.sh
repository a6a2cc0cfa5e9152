#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# From nothing to a TPM-attested node whose workloads talk mutual TLS, on one machine: installs what
# is missing, builds, and runs the whole path in front of you on a software TPM. Run it as often as
# you like; it removes what an interrupted run left behind.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly domain=example.org
readonly authority_port=18443
readonly tls_port=18444
readonly bin=$PWD/build/release
readonly work=/tmp/assay-quickstart-$(id -u)

source scripts/processes.sh
source scripts/software-tpm.sh

step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
show() { printf '$ %s\n' "$*"; "$@"; }

# Ends what this run or an interrupted one started.
clean_up() {
  [[ -e "$work" ]] || return 0
  [[ -O "$work" ]] || fail "$work belongs to somebody else; remove it"
  stop_all
  rm -rf "$work"
}

write_configurations() {
  cat >"$work/authority.conf" <<END
server {
  trust_domain = "$domain"
  bind_address = "127.0.0.1"
  bind_port = "$authority_port"
  socket_path = "$work/authority.sock"
  data_dir = "$work/authority"
}
plugins {
  DataStore "sql" {
    plugin_data {
      database_type = "sqlite3"
      connection_string = "$work/authority/datastore.sqlite3"
    }
  }
  KeyManager "disk" { plugin_data {} }
  NodeAttestor "tpm_devid" {
    plugin_data {
      devid_ca_path = "$work/devid-ca.pem"
      endorsement_ca_path = "$work/tpm/ca/issuercert.pem"
    }
  }
}
END
  cat >"$work/agent.conf" <<END
agent {
  trust_domain = "$domain"
  server_address = "127.0.0.1"
  server_port = "$authority_port"
  trust_bundle_path = "$work/bundle.pem"
  data_dir = "$work/agent"
  socket_path = "$work/api.sock"
}
plugins {
  NodeAttestor "tpm_devid" {
    plugin_data {
      tpm_device_path = "$work/tpm/sock"
      devid_cert_path = "$work/devid/devid.crt.pem"
      devid_priv_path = "$work/devid/devid.priv.blob"
      devid_pub_path = "$work/devid/devid.pub.blob"
    }
  }
  KeyManager "disk" { plugin_data { directory = "$work/agent" } }
  WorkloadAttestor "unix" { plugin_data {} }
}
END
}

authority() { "$bin/authority/assay-authority" "$@" -socketPath "$work/authority.sock"; }

create_entry() { # parent, path, TTL in seconds
  authority entry create -parentID "$1" -spiffeID "spiffe://$domain$2" \
    -selector "unix:uid:$(id -u)" -x509SVIDTTL "$3" >"$work/entry.out" ||
    fail "creating an entry: $(cat "$work/entry.out")"
  grep -E 'Entry ID|SPIFFE ID|Selector' "$work/entry.out"
}

serial() { openssl x509 -in "$1" -noout -serial; }

fetch_both() {
  mkdir -p "$work/svids"
  "$bin/agent/assay-agent" api fetch x509 -socketPath "$work/api.sock" -write "$work/svids" \
    >"$work/fetch.out" 2>&1 && [[ -f "$work/svids/svid.1.pem" ]]
}

step "What it needs"
scripts/install-deps.sh

step "Building in release mode (build/release)"
cmake --preset release >/dev/null
cmake --build --preset release --parallel "$(nproc)" --target assay-agent assay-authority

clean_up
mkdir -m 0755 "$work"
trap clean_up EXIT
trap 'exit 130' INT TERM
mkdir -m 0700 "$work/authority" "$work/agent"

step "A software TPM, with an endorsement certificate as its maker would issue"
start_software_tpm "$work/tpm"
echo "swtpm runs at $work/tpm/sock"

step "A DevID key made in the TPM, certified by the owner's CA"
make_devid_ca "$work/devid-ca"
show "$bin/agent/assay-agent" tpm provision -device "$work/tpm/sock" -dir "$work/devid" \
  -subject "quickstart node"
sign_devid "$work/devid-ca" "$work/devid/devid.csr.pem" "$work/devid.signed.pem"
show "$bin/agent/assay-agent" tpm provision -device "$work/tpm/sock" -dir "$work/devid" \
  -certificate "$work/devid.signed.pem"

step "The upstream: assay-authority"
write_configurations
start authority "$bin/authority/assay-authority" run -config "$work/authority.conf"
await "the authority's socket" authority authority healthcheck
authority bundle show >"$work/bundle.pem"
echo "serving $domain on 127.0.0.1:$authority_port"

step "The agent proves the node by its TPM"
start agent "$bin/agent/assay-agent" run -config "$work/agent.conf"
await "node attestation" agent grep -q "Node attestation was successful" "$work/agent.log"
show authority agent list
parent=$(authority agent list | awk '/SPIFFE ID/ {print $NF; exit}')

step "Two registration entries for processes of this user"
create_entry "$parent" /web 20
create_entry "$parent" /client 3600

step "A workload fetches its X509-SVIDs"
await "the SVIDs" agent fetch_both
cat "$work/fetch.out"
first=$work/svids
web=0
client=1
if ! openssl x509 -in "$first/svid.0.pem" -noout -ext subjectAltName | grep -q "/web"; then
  web=1
  client=0
fi

step "Verified by a tool that is not ours"
show openssl verify -CAfile "$first/bundle.$web.pem" "$first/svid.$web.pem"
openssl x509 -in "$first/svid.$web.pem" -noout -ext subjectAltName

step "Mutual TLS 1.3 between two processes on these SVIDs"
start s_server openssl s_server -accept "127.0.0.1:$tls_port" -tls1_3 -quiet -rev \
  -cert "$first/svid.$web.pem" -key "$first/svid.$web.key" -CAfile "$first/bundle.$web.pem" \
  -Verify 1 -verify_return_error
await "the TLS server" s_server bash -c "echo > /dev/tcp/127.0.0.1/$tls_port"
(echo yassa; sleep 1) | openssl s_client -connect "127.0.0.1:$tls_port" -tls1_3 -brief \
  -cert "$first/svid.$client.pem" -key "$first/svid.$client.key" \
  -CAfile "$first/bundle.$client.pem" -verify_return_error >"$work/s_client.out" 2>&1 ||
  { cat "$work/s_client.out"; fail "the TLS connection failed"; }
grep -E 'Protocol version|Ciphersuite|Verification|assay' "$work/s_client.out"
grep -q assay "$work/s_client.out" || fail "the server did not answer"

step "A rotation, seen live (the SVID of /web lives 20 seconds)"
before=$(serial "$first/svid.$web.pem")
echo "before: $before"
rotated() { fetch_both && [[ "$(serial "$work/svids/svid.$web.pem")" != "$before" ]]; }
await "a rotation" agent rotated
echo "after:  $(serial "$work/svids/svid.$web.pem")"
show openssl verify -CAfile "$work/svids/bundle.$web.pem" "$work/svids/svid.$web.pem"

step "Done"
cat <<END
The node was attested by its TPM, its workloads by their process. To go on:
  - give the agent your own upstream: server_address, server_port and trust_bundle_path in agent.conf
  - point a SPIFFE library at unix:///PATH/api.sock (SPIFFE_ENDPOINT_SOCKET)
  - $bin/agent/assay-agent --help and $bin/authority/assay-authority --help
What ran here is stopped and removed.
END
