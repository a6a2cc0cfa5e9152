#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The admin socket by the agent's commands: debug getinfo; logger get, set and reset, which change
# the level of every role.
#
#   admin_test.sh BUILD_FOLDER
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/../.."
source tests/integration/pair.sh

readonly socket=$work/admin/admin.sock
run() { "$agent" "$@" -socketPath "$socket"; }
expect() { # what it is to print, command
  local wanted=$1 got
  shift
  got=$(run "$@") || fail "$* has failed"
  [[ "$got" == "$wanted" ]] || fail "$*: printed: $got"
}
refused() { # status 1 and these words, command
  local wanted=$1 got status=0
  shift
  got=$("$@" 2>&1 >/dev/null) || status=$?
  [[ "$status" -eq 1 && "$got" == *"$wanted"* ]] || fail "$*: status $status: $got"
}
logged() { grep -qF -- "$1" "$work/agent.log"; }

for tool in openssl jq; do
  has "$tool" || { skip "$tool is not on PATH"; exit 77; }
done
start_upstream "$authority"
token=$(server_command "$authority" token generate -ttl 600 | sed -n 's/^Token: //p')
start_agent "$agent" "join_token = \"$token\"
  admin_socket_path = \"$socket\"" 'NodeAttestor "join_token" { plugin_data {} }'
create_entry "$authority" 600
await "an X509-SVID" agent fetch

[[ "$(stat -c %a "$socket")" == 770 ]] || fail "the admin socket has another mode"
run debug getinfo -output json >"$work/info.json"
parent=$(server_command "$authority" agent list | awk '/SPIFFE ID/ {print $NF}')
jq -e --arg id "${parent#spiffe://$domain}" '.cached_x509_svids_count == 1 and .svids_count == 1 and
  (.svid_chain | length) == 2 and .svid_chain[0].id.path == $id and .svid_chain[1].id.path == "" and
  (.last_sync_success | tonumber) > 0' "$work/info.json" >/dev/null ||
  fail "debug getinfo tells something else: $(cat "$work/info.json")"
run debug getinfo | grep -q "    \[0\] SPIFFE ID:  $parent" || fail "debug getinfo shows no chain"
echo "PASSED: debug getinfo"

info=$'Logger Level : info\nLaunch Level : info'
expect "$info" logger get
logged level=debug && fail "details are logged that were not asked for"
expect $'Logger Level : debug\nLaunch Level : info' logger set -level DEBUG
expect '{"current_level":"DEBUG","launch_level":"INFO"}' logger get -output json
server_command "$authority" entry delete -entryID "$(awk '/Entry ID/ {print $NF}' "$work/entry.log")" \
  >/dev/null
await "the identity role's details" agent logged 'level=debug msg="Entry removed"'
expect "$info" logger reset
expect $'Logger Level : warning\nLaunch Level : info' logger set -level warn
expect "$info" logger reset
echo "PASSED: logger"

refused 'Error: the value "loud" is not a valid setting' "$agent" logger set -level loud \
  -socketPath "$socket"
refused 'Error: a value (-level) must be set' "$agent" logger set -socketPath "$socket"
refused "failed to reset logger: rpc error: code = Unavailable desc = connection error: desc = \
\"transport: Error while dialing: dial unix //$work/none: connect: no such file or directory\"" \
  "$agent" logger reset -socketPath "$work/none"
echo "PASSED: what cannot be done is said"
