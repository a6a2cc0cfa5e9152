#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The agent's key in the TPM: neither its data folder nor the memory of a role holds the private key
# of its SVID, a restart keeps the SVID, and a key that is lost is replaced with another at a new
# attestation. That the search finds a key is shown on an agent that keeps its own on disk.
#
#   tpm_key_test.sh BUILD_FOLDER
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/../.."
source tests/integration/pair.sh
readonly scanner=$build/tests/integration/key-scanner

# The agent's own SVID.
agent_svid() {
  tr -d '\n\t ' <"$work/agent/agent-data.json" | sed 's/.*"svid":\["\([^"]*\)".*/\1/' |
    base64 -d >"$work/agent-svid.pem"
  openssl x509 -in "$work/agent-svid.pem" -noout -serial
}

roles() { echo "$agent_pid"; pgrep -P "$agent_pid"; }

# Status of the scanner: 1 when it finds the key.
search() {
  agent_svid >/dev/null
  local status=0
  "$scanner" "$work/agent-svid.pem" "$@" >"$work/scan.log" || status=$?
  cat "$work/scan.log"
  return "$status"
}

run_agent() {
  start agent "$agent" run -config "$work/agent.conf"
  agent_pid=$(tail -n 1 "$work/pids" | cut -d' ' -f1)
}

stop_agent() {
  kill "$agent_pid"
  tail --pid="$agent_pid" -f /dev/null
  sed -i '$d' "$work/pids"
}

restart_agent() { # words in its log that it is awaited by
  stop_agent
  run_agent
  await "$1" agent grep -q "$1" "$work/agent.log"
  await "an X509-SVID" agent fetch
}

# The status of a search: 0 for none, 1 for a find; without the right to look the test is skipped.
status_of() {
  local status=0
  search "$@" || status=$?
  if [[ "$status" == 2 ]]; then skip "the memory of the roles cannot be read: run as root"; exit 77; fi
  return "$status"
}

for tool in openssl swtpm swtpm_setup; do
  has "$tool" || { skip "$tool is not on PATH"; exit 77; }
done
make_devid_ca "$work/devid-ca"
start_software_tpm "$work/tpm"
make_devid ec-p256
start_upstream "$authority"

key_manager='KeyManager "disk" { plugin_data { directory = "'$work/agent'" } }'
attest_by_devid "$agent" "$work/devid-ec-p256" "$key_manager"
agent_pid=$(tail -n 1 "$work/pids" | cut -d' ' -f1)
create_entry "$authority" 3600
await "an X509-SVID" agent fetch
if status_of "$work/agent"; then fail "the search does not find a key on disk"; fi
# shellcheck disable=SC2046 # Each role is a word.
if status_of $(roles); then fail "the search does not find a key in memory"; fi
echo "PASSED: a key on disk is found on disk and in memory"
stop_agent

attest_by_devid "$agent" "$work/devid-ec-p256" ""
agent_pid=$(tail -n 1 "$work/pids" | cut -d' ' -f1)
await "an X509-SVID" agent fetch
[[ "$(stat -c %a "$work/agent/tpm-agent-keys")" == 600 ]] || fail "others may read the blobs"
# shellcheck disable=SC2046
status_of "$work/agent" $(roles) || fail "the agent's private key has left the TPM"
echo "PASSED: tpm_devid, no KeyManager named: no private key of the agent on disk or in memory"

before=$(agent_svid)
restart_agent "Starting agent"
[[ "$(agent_svid)" == "$before" ]] || fail "a restart changed the agent's SVID"
if grep -q "node attestation" "$work/agent.log"; then fail "a restart attested the node anew"; fi
echo "PASSED: a restart keeps the agent's SVID"

# As the blobs of another TPM: it cannot load them.
stop_agent
size=$(stat -c %s "$work/agent/tpm-agent-keys")
printf '\xff\xff\xff\xff' |
  dd of="$work/agent/tpm-agent-keys" bs=1 seek=$((size - 20)) conv=notrunc status=none
run_agent
await "the loss of the key" agent grep -q "Key of the stored agent SVID is lost" "$work/agent.log"
await "another attestation" agent grep -q "Node attestation was successful" "$work/agent.log"
await "an X509-SVID" agent fetch
[[ "$(agent_svid)" != "$before" ]] || fail "the agent has the SVID of the key it lost"
restart_agent "Starting agent"
if grep -q "node attestation" "$work/agent.log"; then fail "the key after the loss is not kept"; fi
echo "PASSED: a lost key is replaced at a new attestation"
